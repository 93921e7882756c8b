/**
 * The loop a team would write by hand: @vlasky/zongji reads the binlog, kafkajs sends each row as JSON.
 * Rows that arrive while a send is out go with the next one, with the place in the binlog beside them,
 * so that nothing is lost by a crash; order needs it that only one send is out.
 */

import ZongJi from '@vlasky/zongji';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import type { Message, Producer } from 'kafkajs';

export interface ZongjiProducerTask {
  readonly url: string;
  readonly database: string;
  readonly tables: readonly string[];
  readonly file: string;
  readonly position: number;
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly placeTopic: string;
}

interface Place {
  readonly file: string;
  readonly position: number;
}

interface Row {
  readonly id: number | string;
}

interface Update {
  readonly before: Row;
  readonly after: Row;
}

interface RowsEvent {
  /** Of an update both images: {before, after}. */
  readonly rows: readonly (Row | Update)[];
  readonly tableId: number;
  readonly tableMap: Readonly<Record<number, { readonly tableName: string }>>;
}

interface RotateEvent {
  readonly binlogName: string;
  readonly position: number;
}

/** Messages of one send: more would only wait longer for their acknowledgement. */
const MAX_SENT = 10_000;

class Sender {
  readonly #producer: Producer;
  readonly #task: ZongjiProducerTask;
  #waiting: { topic: string; message: Message; place: Place }[] = [];
  /** The end of the last whole transaction: where to begin again after a crash. */
  #place: Place;
  #isSending = false;

  constructor(producer: Producer, task: ZongjiProducerTask) {
    this.#producer = producer;
    this.#task = task;
    this.#place = { file: task.file, position: task.position };
  }

  committed(position: number): void {
    this.#place = { file: this.#place.file, position };
  }

  rotated(file: string, position: number): void {
    this.#place = { file, position };
  }

  add(event: RowsEvent, op: 'c' | 'u' | 'd'): void {
    const table = event.tableMap[event.tableId]?.tableName ?? '';
    const topic = `${this.#task.prefix}.${this.#task.database}.${table}`;
    for (const row of event.rows) {
      const { id } = 'after' in row ? row.after : row;
      const change = 'after' in row ? row : { [op === 'd' ? 'before' : 'after']: row };
      const message = {
        key: `{"id":${id}}`,
        value: JSON.stringify({ op, table, ...change }),
      };
      this.#waiting.push({ topic, message, place: this.#place });
    }
    if (!this.#isSending) void this.#send().catch(fail);
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_SENT);
      this.#waiting = this.#waiting.slice(MAX_SENT);
      const byTopic = Map.groupBy(batch, ({ topic }) => topic);
      const place = JSON.stringify(batch.at(-1)?.place);
      await this.#producer.sendBatch({
        acks: -1,
        topicMessages: [
          ...[...byTopic].map(([topic, entries]) => ({
            topic,
            messages: entries.map(({ message }) => message),
          })),
          { topic: this.#task.placeTopic, messages: [{ key: 'place', value: place }] },
        ],
      });
    }
    this.#isSending = false;
  }
}

function fail(error: unknown): void {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
}

const OPERATIONS = { writerows: 'c', updaterows: 'u', deleterows: 'd' } as const;

async function start(task: ZongjiProducerTask): Promise<void> {
  const kafka = new Kafka({ brokers: [...task.brokers], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const sender = new Sender(producer, task);
  const { hostname, port, username, password } = new URL(task.url);
  const reader = new ZongJi({ host: hostname, port: Number(port), user: username, password });
  reader.on('binlog', (event) => {
    const name = event.getEventName();
    if (name === 'rotate') {
      const { binlogName, position } = event as unknown as RotateEvent;
      sender.rotated(binlogName, position);
    }
    if (name === 'xid') sender.committed(event.nextPosition);
    if (name === 'writerows' || name === 'updaterows' || name === 'deleterows') {
      sender.add(event as unknown as RowsEvent, OPERATIONS[name]);
    }
  });
  reader.on('error', fail);
  reader.on('ready', () => {
    process.send?.('ready');
  });
  reader.start({
    serverId: 4_000_001,
    filename: task.file,
    position: task.position,
    includeEvents: ['tablemap', 'rotate', 'xid', ...Object.keys(OPERATIONS)],
    includeSchema: { [task.database]: [...task.tables] },
  });
}

process.once('message', (task: ZongjiProducerTask) => {
  void start(task).catch(fail);
});
process.on('disconnect', () => {
  process.exit(0);
});
