/** Orders of which some are given up, and what Kafka's own consumer finds of them. */

import type { KafkaTools } from '../../services/kafka/tools.ts';
import type { KafkaRecord } from '../../services/kafka.ts';
import { eventually } from './eventually.ts';
import { withConnection } from './mysql.ts';
import type { Arrival } from './receiver-journal.ts';
import type { Reaction } from './receiver.ts';
import { Scene } from './workload-scene.ts';

export const CALLBACK = 'billing';
export const ATTEMPTS = 2;
const PARTITIONS = 3;
const IDLE_MS = 4_000;

/** Every third is refused at once, every third fails at each attempt, the others are taken. */
export function refusal(id: number): 'at once' | 'at last' | null {
  if (id % 3 === 0) return 'at once';
  return id % 3 === 1 ? 'at last' : null;
}

export function react({ key }: Arrival): Reaction {
  const { id } = JSON.parse(key ?? '') as { id: number };
  const how = refusal(id);
  if (how === null) return { kind: 'take' };
  return { kind: 'fail', status: how === 'at once' ? 422 : 500 };
}

export interface DeadLetterSetup {
  readonly name: string;
  readonly brokers: readonly string[];
  /** Further keys of the log. */
  readonly log?: Readonly<Record<string, unknown>>;
  readonly retry?: Readonly<Record<string, unknown>>;
}

export function openDeadLetterScene(setup: DeadLetterSetup): Promise<Scene> {
  const { name, brokers, log = {}, retry = {} } = setup;
  return Scene.open({
    name,
    callbacks: [CALLBACK],
    react,
    tables: ['CREATE TABLE orders (id INT PRIMARY KEY, body TEXT NOT NULL)'],
    callbackDeliver: { timeout: '20s' },
    callbackOptions: {
      on_exhausted: 'dead-letter',
      breaker: { minimum_keys: 10_000 },
      retry: {
        ...{ initial_interval: '50ms', maximum_attempts: ATTEMPTS, non_retryable_statuses: [422] },
        ...retry,
      },
    },
    log: {
      ...{ type: 'kafka', brokers: [...brokers], dead_letters: true },
      topics: { partitions: PARTITIONS, replication_factor: 1 },
      ...log,
    },
  });
}

export async function insertOrders(scene: Scene, from: number, to: number): Promise<void> {
  const url = new URL(`/${scene.database}`, scene.serverUrl).href;
  const rows = Array.from({ length: to - from }, (_, index) => `(${from + index}, 'ä-${index}')`);
  await withConnection(url, (connection) =>
    connection.query(`INSERT INTO orders VALUES ${rows.join()}`),
  );
}

/** How many of the orders [0, to) are given up. */
export function refused(to: number): number {
  return Array.from({ length: to }, (_, id) => id).filter((id) => refusal(id) !== null).length;
}

/** A metric of the callback; null while there is none. */
export async function metric(scene: Scene, name: string): Promise<number | null> {
  const response = await fetch(`http://${scene.admin}/metrics`);
  const line = (await response.text()).split('\n').find((one) => one.startsWith(`${name}{`));
  return line === undefined ? null : Number(line.split(' ').at(-1));
}

export const waiting = (scene: Scene): Promise<number | null> =>
  metric(scene, 'rowcall_callback_dead_letters_unmirrored');

/** Until the store has no letter that waits, and has had them all. */
export async function allMirrored(scene: Scene, letters: number): Promise<void> {
  await eventually(
    async () => {
      const dead = (await scene.ledger()).reduce((sum, row) => sum + row.dead, 0);
      if (dead < letters) throw new Error(`${dead} of ${letters} are dead`);
      const left = await waiting(scene);
      if (left !== 0) throw new Error(`${left} letters wait`);
    },
    { timeoutMs: 90_000, intervalMs: 300 },
  );
}

export function header({ headers }: KafkaRecord, name: string): string | null {
  return headers.find(([one]) => one === name)?.[1] ?? null;
}

/** All that is in a topic, as Kafka's own consumer reads it. */
export async function readTopic(tools: KafkaTools, topic: string): Promise<KafkaRecord[]> {
  await using consumption = await tools.consume({ topic, from: 'beginning', idleMs: IDLE_MS });
  const records = await consumption.rest();
  return records;
}

/** The numbers of the letters of each partition, in its order. */
export function idsByPartition(records: readonly KafkaRecord[]): readonly (readonly number[])[] {
  const all: number[][] = Array.from({ length: PARTITIONS }, () => []);
  for (const record of records) {
    all[record.partition]?.push(Number(header(record, 'rowcall-dead-letter-id')));
  }
  return all;
}
