/** The source's binlog as a stream of parsed events that its reader pulls. */

import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { RowcallError } from '../../errors.ts';
import type { FilePosition } from '../../position.ts';
import { abortable } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import type { BinlogEvent } from './binlog-event.ts';
import { DumpConnection } from './dump-connection.ts';
import { encodeDumpRequest, encodeRegistration } from './dump-request.ts';
import type { DumpStart } from './dump-request.ts';
import { FarStream, isFar } from './far-place.ts';
import { EventParser, FIRST_POSITION, type RawEvent } from './event-parser.ts';
import type { ReadBodies } from './read-bodies.ts';
import { PacketQueue } from './packet-queue.ts';
import type { ReplicaIdentity } from './replica-identity.ts';
import { answerLimit, connectUnless, drop } from './source-connection.ts';
import { sourceError } from './source-error.ts';
import { describePayload, PayloadReader } from './transaction-payload.ts';

export interface BinlogStreamOptions {
  readonly connection: ConnectionOptions;
  /** Unique among all servers and readers of the topology. */
  readonly serverId: number;
  /**
   * As whom the dump stands on the server's list of replicas; then no other dump of that UUID goes on. Default:
   * on no list and with a new UUID, so that a look at the binlog ends nobody's dump.
   */
  readonly replica?: ReplicaIdentity;
  /** The server speaks at least this often, milliseconds. Three of them without a byte are a loss. */
  readonly heartbeatMs: number;
  readonly start: DumpStart;
  /** Bytes of events that may wait or be in the reader's hands; then the socket is not read. */
  readonly maxQueueBytes: number;
  readonly clock: Clock;
  /** End with an empty batch at the end of the log, instead of waiting there. Default: false. */
  readonly nonBlocking?: boolean;
  /** Default: all. */
  readonly bodies?: ReadBodies;
  /** Where a compressed transaction over 16 MiB is kept while it is read. Default: the system's temporary folder. */
  readonly spoolFolder?: string;
}

export interface BinlogStream {
  /**
   * The events that wait, at least one, in order; waits when there is none. A batch must be done with when
   * the next is asked for: its bytes count against the queue until then. Empty only at the end of a
   * non-blocking dump.
   *
   * @throws RowcallError SOURCE_LOST, SOURCE_SILENT, BINLOG_DUMP_REFUSED, SOURCE_ACCESS_DENIED;
   *   BINLOG_EVENT_MALFORMED, BINLOG_CHECKSUM, BINLOG_EVENT_UNSUPPORTED at their place, after
   *   all events before it; POSITION_UNPROVEN: beyond 4 GiB no event begins at the place; SPOOL_FAILED; the reason
   *   of the signal. The stream is dead then.
   */
  next(): Promise<readonly BinlogEvent[]>;

  /** Where the next event of the file begins. */
  readonly place: FilePosition;

  /** Lets go of the connection at once. Idempotent. */
  close(): Promise<void>;
}

/** How long the server lets us pause it before it gives up, seconds. The cut is then a loss like any other. */
const NET_WRITE_TIMEOUT_S = 3600;
const SILENT_HEARTBEATS = 3;
/** How often within a heartbeat it is looked whether bytes came. */
const LOOKS_PER_HEARTBEAT = 4;
/** The byte came up to one look before the first silent one. */
const SILENT_LOOKS = SILENT_HEARTBEATS * LOOKS_PER_HEARTBEAT - 1;
/** A batch ends here: between two of them the event loop turns while a long queue is worked off. */
const BATCH_BYTES = 256 * 1024;
/** Few: what is parsed and not yet handled outlives a collection, and is moved by it. */
const BATCH_EVENTS = 128;

/**
 * Connects, announces what we can read, and asks for the dump.
 *
 * @throws RowcallError SOURCE_UNREACHABLE, SOURCE_ACCESS_DENIED, SOURCE_TLS, SOURCE_LOST; the reason of the signal.
 */
export async function openBinlogStream(
  options: BinlogStreamOptions,
  signal: AbortSignal,
): Promise<BinlogStream> {
  const { start } = options;
  if (!isFar(start)) return openDump(options, signal);
  const whole = { ...start, position: FIRST_POSITION };
  return new FarStream(await openDump({ ...options, start: whole }, signal), start);
}

async function openDump(options: BinlogStreamOptions, signal: AbortSignal): Promise<BinlogStream> {
  signal.throwIfAborted();
  const connection = await connectUnless(options.connection, signal);
  try {
    const isMariadb = await abortable(announce(connection, options), signal);
    return new DumpStream(connection, requestsOf(options, isMariadb), options, signal);
  } catch (error) {
    drop(connection);
    throw signal.aborted ? (signal.reason as Error) : sourceError(error, true);
  }
}

/**
 * MariaDB knows a replica under its server_id alone, and ends the older of two: a look at the binlog has none, which the
 * server takes for a program that reads to the end of the log.
 */
function requestsOf(options: BinlogStreamOptions, isMariadb: boolean): Buffer[] {
  const { replica, nonBlocking = false } = options;
  const serverId = isMariadb && replica === undefined ? 0 : options.serverId;
  const dump = encodeDumpRequest({ ...options, serverId, nonBlocking });
  if (replica === undefined) return [dump];
  // Its list of replicas has no UUID: the host is all that can tell us from others.
  const host = isMariadb ? `${replica.uuid}@${replica.host}` : replica.host;
  return [encodeRegistration(serverId, host), dump];
}

/**
 * What MariaDB needs to know of a replica; on MySQL these are variables like any other. Without the capability it
 * writes its GTID events anew for old replicas.
 */
function mariadbVariables(start: DumpStart): string {
  const variables = ['@mariadb_slave_capability = 4'];
  if ('domains' in start) {
    variables.push(
      `@slave_connect_state = '${start.domains.toString()}'`,
      `@slave_gtid_strict_mode = ${start.holes === true ? 0 : 1}`,
      '@slave_gtid_ignore_duplicates = 0',
    );
  }
  return variables.join(', ');
}

/**
 * Session variables that the dump thread reads, under their old and their new names. Announcing CRC32 is right
 * for files of both kinds: the server sends each as it is. By the uuid the server finds, and ends, a dump that
 * is taken for a dead connection of ours.
 *
 * @returns whether it is a MariaDB server
 */
async function announce(
  connection: Connection,
  { heartbeatMs, replica, start }: BinlogStreamOptions,
): Promise<boolean> {
  const period = BigInt(Math.round(heartbeatMs)) * 1_000_000n;
  const uuid = replica?.uuid ?? randomUUID();
  const sql =
    `SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32',` +
    ` @master_heartbeat_period = ${period}, @source_heartbeat_period = ${period},` +
    ` @slave_uuid = '${uuid}', @replica_uuid = '${uuid}',` +
    ` ${mariadbVariables(start)}, SESSION net_write_timeout = ${NET_WRITE_TIMEOUT_S}`;
  const timeout = answerLimit(heartbeatMs);
  await connection.query({ sql, timeout });
  const [rows] = await connection.query({ sql: 'SELECT VERSION()', rowsAsArray: true, timeout });
  return /mariadb/i.test(String((rows as unknown[][])[0]?.[0]));
}

/**
 * Raw packets are queued by the socket's callbacks and parsed when the reader asks, so that an error of parsing
 * is raised to the reader, at its place, after everything before it. Invariant: once `#failure` is set nothing
 * is queued any more, and every later `next` rejects with it.
 */
class DumpStream implements BinlogStream {
  readonly #dump: DumpConnection;
  readonly #queue: PacketQueue;
  readonly #parser: EventParser;
  readonly #options: BinlogStreamOptions;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  /** The compressed transaction that is being read; nothing behind it is, until its end. */
  #payload: PayloadReader | null = null;
  #failure: Error | undefined;
  #ended = false;
  /** Wakes the reader that waits in `next`. */
  #wake: (() => void) | undefined;
  #stopWatch: (() => void) | undefined;

  constructor(
    connection: Connection,
    requests: readonly Buffer[],
    options: BinlogStreamOptions,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#signal = signal;
    const begin = 'file' in options.start ? options.start : { file: '', position: FIRST_POSITION };
    const leavesOut = !('file' in options.start) || options.start.except !== undefined;
    this.#parser = new EventParser(begin, leavesOut, options.bodies);
    const listener = {
      onEvent: (event: RawEvent): void => {
        this.#enqueue(event);
      },
      onEnd: (): void => {
        this.#ended = true;
        this.#wakeReader();
      },
      onError: (error: unknown): void => {
        // Behind the end of a dump the server hangs up.
        if (!this.#ended) this.#fail(sourceError(error, true));
      },
    };
    const { spoolFolder = tmpdir() } = options;
    this.#dump = new DumpConnection(connection, requests, listener, spoolFolder);
    this.#queue = new PacketQueue(options.maxQueueBytes, this.#dump);
    this.#onAbort = () => {
      this.#fail(signal.reason as Error);
      this.#drop();
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#dump.start();
    this.#watch(this.#dump.bytesRead, 0);
  }

  get place(): FilePosition {
    return this.#parser.place;
  }

  async next(): Promise<readonly BinlogEvent[]> {
    // A reader that never waits would keep everyone else from their turn for as long as the queue has events.
    if (this.#payload !== null || !this.#queue.isEmpty) await this.#turn();
    const events = await this.#nextOfPayload();
    if (events.length > 0) return events;
    this.#queue.release();
    for (;;) {
      // What came before a loss is as good as ever: the failure is raised once it is worked off.
      while (this.#queue.isEmpty) {
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#ended) return [];
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const batch = this.#parseBatch();
      if (batch.length > 0) return batch;
      const inner = await this.#nextOfPayload();
      if (inner.length > 0) return inner;
      this.#queue.release();
    }
  }

  close(): Promise<void> {
    this.#fail(new RowcallError('SOURCE_LOST', 'The stream was closed'));
    this.#drop();
    return Promise.resolve();
  }

  /** Lets timers, and what came in meanwhile, have their turn. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.soon(resolve);
    });
  }

  /** The next events of the compressed transaction at hand; none where there is none, or at its end. */
  async #nextOfPayload(): Promise<readonly BinlogEvent[]> {
    const payload = this.#payload;
    if (payload === null) return [];
    try {
      const events = await payload.next();
      if (events.length > 0) return events;
    } catch (error) {
      // Closed under its hands, where the stream was.
      if (this.#payload === null && this.#failure !== undefined) throw this.#failure;
      this.#fail(error as Error);
      this.#drop();
      throw error;
    }
    payload.close();
    this.#payload = null;
    return [];
  }

  /** Nothing that came is read any more. */
  #drop(): void {
    this.#queue.clear();
    this.#payload?.close();
    this.#payload = null;
  }

  /** An event that cannot be parsed ends the batch before it, and then the stream; a payload ends the batch. */
  #parseBatch(): BinlogEvent[] {
    const events: BinlogEvent[] = [];
    let bytes = 0;
    while (bytes < BATCH_BYTES && events.length < BATCH_EVENTS) {
      const packet = this.#queue.take();
      if (packet === undefined) break;
      bytes += packet.length;
      try {
        const event = this.#parse(packet);
        if (event !== null) {
          events.push(event);
          // Rows that came compressed.
          bytes += Math.max(0, event.bytes - packet.length);
        }
        if (this.#payload !== null) break;
      } catch (error) {
        this.#fail(error as Error);
        this.#drop();
        if (events.length === 0) throw error;
        break;
      }
    }
    return events;
  }

  /** Null for a payload, whose events come next, unless it is to be shown. */
  #parse(packet: RawEvent): BinlogEvent | null {
    let kept = false;
    try {
      const event = this.#parser.parse(packet);
      if (event.type !== 'transaction-payload') return event;
      kept = true;
      this.#payload = new PayloadReader(event, (bytes) => this.#parser.parseInner(bytes, event));
      return this.#options.bodies === 'show' ? describePayload(event) : null;
    } finally {
      if (!kept && !Buffer.isBuffer(packet)) packet.close();
    }
  }

  #enqueue(event: RawEvent): void {
    if (this.#failure !== undefined) {
      if (!Buffer.isBuffer(event)) event.close();
      return;
    }
    this.#queue.put(event);
    this.#wakeReader();
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#stopWatch?.();
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#dump.destroy();
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /**
   * Looks several times per heartbeat whether bytes came, so that three heartbeats after the last byte the
   * silence is known. A stopped server or a cut cable gives no error at all; while we have paused the socket
   * ourselves, silence means nothing. Looks are counted, not time: a busy process must not take its own for it.
   */
  #watch(bytesBefore: number, silent: number): void {
    const { clock, heartbeatMs } = this.#options;
    this.#stopWatch = clock.timer(heartbeatMs / LOOKS_PER_HEARTBEAT, () => {
      const bytes = this.#dump.bytesRead;
      const quiet = bytes === bytesBefore && !this.#queue.paused && !this.#ended;
      const count = quiet ? silent + 1 : 0;
      if (count < SILENT_LOOKS) this.#watch(bytes, count);
      else {
        const waited = SILENT_HEARTBEATS * heartbeatMs;
        this.#fail(new RowcallError('SOURCE_SILENT', `Nothing came from MySQL for ${waited} ms`));
      }
    });
  }
}
