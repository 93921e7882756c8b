/** The capture leg over a simulated source: all of it but the connection and the proof of the place. */
import type { ClaimCheck } from '../../src/capture/append/claim-check.ts';
import { Place } from '../../src/capture/append/place.ts';
import type { BinlogEvent } from '../../src/capture/binlog/binlog-event.ts';
import type { CaptureCounters } from '../../src/capture/capture-counters.ts';
import { BinlogFollower, type EventStream } from '../../src/capture/follow-binlog.ts';
import { createRouter, type Router } from '../../src/capture/route/router.ts';
import { formatCheckpoint, parseCheckpoint } from '../../src/checkpoint.ts';
import { RowcallError } from '../../src/errors.ts';
import type { EventFormat } from '../../src/event-format.ts';
import type { ChangeLog, ChangeLogWriter } from '../../src/log/change-log.ts';
import type { PreparedSource, PreparedStream } from '../../src/capture/xa/prepared-source.ts';
import type { Checkpoint, PreparedTransaction } from '../../src/position.ts';
import type { Clock } from '../../src/shared/clock.ts';
import type { LargeWork } from '../../src/shared/large-work.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import type { Service } from '../../src/shared/service.ts';
import type { Faults } from './simulation-faults.ts';
import { CONFIG_NAME, OUTBOX_TABLE } from './simulation-expected.ts';
import { EXECUTED_BEFORE, type History, SERVER_UUID } from './simulation-history.ts';
import type { Dice } from './workload-random.ts';

/** Per batch of events. */
const LOST = 0.03;
const POLL_MS = 200;
/** More often than in production: a simulated transaction takes no second. */
const QUIET_SAVE_MS = 250;

function noCounts(): CaptureCounters {
  const none = { events: 0, bytes: 0, rows: 0, filteredRowEvents: 0 };
  return { ...none, transactions: 0, lastCommitMs: 0 };
}

export interface CaptureShape {
  readonly partitions: number;
  /** Bytes after which an append is made in the middle of a transaction. */
  readonly maxBufferedBytes: number;
  readonly format: EventFormat;
  readonly claimCheck: ClaimCheck | null;
  /** Makes the place; a test of the simulation itself puts a wrong one here. */
  readonly makePlace?: (checkpoint: Checkpoint) => Place;
}

export interface CaptureParts {
  readonly history: History;
  readonly shape: CaptureShape;
  readonly log: ChangeLog;
  readonly large: LargeWork;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly dice: Dice;
}

/** Sessions one after another, as capture.ts makes them: each from the checkpoint that the log holds. */
export class SimulatedCapture implements Service {
  readonly name = 'capture';
  readonly #parts: CaptureParts;
  /** As long as its process lives, over all its sessions. */
  readonly #router: Router;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    const { format } = parts.shape;
    const match = ['shop.*', '!shop.secret'];
    const topic = '{name}.{schema}.{table}';
    const all = { key: null, excludeColumns: [] };
    const outbox = {
      ...{ match: [OUTBOX_TABLE], topic: '{name}.outbox.{aggregate_type}', ...all },
      outbox: { id: 'id', aggregateId: 'id', aggregateType: 'name', type: 'name', payload: 'name' },
    };
    this.#router = createRouter({
      name: CONFIG_NAME,
      rules: [...(parts.history.outbox ? [outbox] : []), { match, topic, ...all, format }],
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const failure = await this.#session(signal);
        signal.throwIfAborted();
        if (!(failure instanceof RowcallError) || !failure.retriable) throw failure;
        await this.#parts.clock.sleep(250, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Returns what ended it. */
  async #session(signal: AbortSignal): Promise<Error> {
    try {
      return await this.#connected(signal);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #connected(signal: AbortSignal): Promise<never> {
    const writer = await this.#parts.log.openWriter(CONFIG_NAME);
    try {
      const checkpoint = await this.#checkpoint(writer);
      const place =
        this.#parts.shape.makePlace?.(checkpoint) ??
        new Place(checkpoint, { uuid: SERVER_UUID, routing: 'r' });
      const broken = new AbortController();
      const stream = new SimulatedStream(
        this.#parts,
        checkpoint,
        AbortSignal.any([signal, broken.signal]),
      );
      const { shape, clock, large } = this.#parts;
      const follower = new BinlogFollower({
        ...{ name: CONFIG_NAME, version: '0', router: this.#router, counters: noCounts() },
        ...{ place, writer, clock, large, signal },
        partitions: shape.partitions,
        decoder: 'fast at once',
        maxBufferedBytes: shape.maxBufferedBytes,
        claimCheck: shape.claimCheck,
        prepared: new SimulatedPrepared(this.#parts, AbortSignal.any([signal, broken.signal])),
        quietSaveMs: QUIET_SAVE_MS,
        logger: silentLogger,
        listener: { onStreaming: () => undefined, onProgress: () => undefined },
        onFailure: (error) => {
          broken.abort(error);
        },
      });
      return await follower.run(stream);
    } finally {
      await writer.close();
    }
  }

  async #checkpoint(writer: ChangeLogWriter): Promise<Checkpoint> {
    if (writer.checkpoint !== null) return parseCheckpoint(writer.checkpoint);
    const { history } = this.#parts;
    const [file] = history.files;
    if (file === undefined) throw new Error('The source has no file');
    const first: Checkpoint = {
      version: 3,
      serverUuid: SERVER_UUID,
      gtidSet: history.gtids ? `${SERVER_UUID}:1-${EXECUTED_BEFORE}` : null,
      file: file.name,
      position: file.headEnd,
      fileCreated: file.created,
      last: null,
      open: [],
      prepared: [],
      topics: {},
      routing: 'r',
    };
    await writer.append([], formatCheckpoint(first));
    return first;
  }
}

/** The dumps of prepared transactions: lost now and then, at any event. */
class SimulatedPrepared implements PreparedSource {
  readonly #parts: CaptureParts;
  readonly #signal: AbortSignal;

  constructor(parts: CaptureParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  async open({ at, xid }: PreparedTransaction): Promise<PreparedStream> {
    const { history, clock, faults, dice } = this.#parts;
    await clock.sleep(faults.delay(), this.#signal);
    const transaction = history.transactions.find(
      ({ file, begin }) => file === at?.file && begin === at.position,
    );
    if (transaction === undefined) throw new Error(`Nothing stands where ${xid} was prepared`);
    const pending = [...history.file(transaction.file).head, ...transaction.events];
    return {
      next: async () => {
        await clock.sleep(faults.delay(), this.#signal);
        if (faults.strikes(LOST)) {
          throw new RowcallError('SOURCE_LOST', 'Injected into the dump of what is prepared');
        }
        return pending.splice(0, dice.between(1, 12));
      },
      close: () => Promise.resolve(),
    };
  }

  /** Each capture begins with the history, so that there is none that it did not read. */
  find(xid: string): Promise<null> {
    return Promise.reject(new Error(`${xid} was prepared and is not noted`));
  }
}

/** A dump from a checkpoint: by GTID set, else by file and position. It is lost now and then, at any event. */
class SimulatedStream implements EventStream {
  readonly #parts: CaptureParts;
  readonly #signal: AbortSignal;
  readonly #pending: BinlogEvent[] = [];
  #file: string;
  #next: number;

  constructor(parts: CaptureParts, checkpoint: Checkpoint, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
    const { history } = parts;
    this.#next = history.gtids
      ? Number(/(\d+)$/.exec(checkpoint.gtidSet ?? '')?.[1]) - EXECUTED_BEFORE
      : history.firstFrom(checkpoint.file, checkpoint.position);
    this.#file = checkpoint.file;
    this.#pending.push(...history.file(this.#file).head);
  }

  async next(): Promise<readonly BinlogEvent[]> {
    const { clock, dice, faults } = this.#parts;
    const signal = this.#signal;
    await clock.sleep(faults.delay(), signal);
    while (this.#pending.length === 0) {
      if (this.#fill()) break;
      await clock.sleep(POLL_MS, signal);
      this.#loseNow();
    }
    this.#loseNow();
    return this.#pending.splice(0, dice.between(1, 12));
  }

  #loseNow(): void {
    if (this.#parts.faults.strikes(LOST)) {
      throw new RowcallError('SOURCE_LOST', 'Injected into the connection to the source');
    }
  }

  /** The next transaction, once it is committed. */
  #fill(): boolean {
    const { history, clock } = this.#parts;
    const transaction = history.transactions[this.#next];
    if (transaction === undefined || transaction.committedAt > clock.monotonic()) return false;
    while (this.#file !== transaction.file) {
      const at = history.files.findIndex(({ name }) => name === this.#file);
      const from = history.files[at];
      const to = history.files[at + 1];
      const rotate = from?.rotate ?? null;
      if (rotate === null || to === undefined) throw new Error('The source has no next file');
      this.#pending.push(rotate, ...to.head);
      this.#file = to.name;
    }
    this.#pending.push(...transaction.events);
    this.#next += 1;
    return true;
  }
}
