/** The rows of prepared transactions, from the source's binlog: by a dump of their own beside that of the capture. */

import { RowcallError } from '../../errors.ts';
import { GtidSet } from '../../gtid-set.ts';
import { parseMariadbGtid } from '../../mariadb-gtid.ts';
import {
  fileNumber,
  type FilePosition,
  formatPlace,
  type PreparedTransaction,
} from '../../position.ts';
import type { Logger } from '../../shared/logger.ts';
import { openBinlogStream } from '../binlog/binlog-stream.ts';
import type { DumpStart } from '../binlog/dump-request.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import { answerLimit, SourceConnection } from '../binlog/source-connection.ts';
import { startByGtid } from '../preflight/gtid-start.ts';
import { type DumpAccess, readEvents } from '../preflight/read-place.ts';
import { readAnyServer } from '../preflight/any-server.ts';
import { justBefore, type MariadbState } from '../preflight/mariadb/server-state.ts';
import type { ServerPlace } from '../preflight/server-place.ts';
import type { PreparedSource, PreparedStream } from './prepared-source.ts';
import { isPurgedGtid } from './purged-prepared.ts';
import { XidSearch } from './xid-search.ts';

/** Raw events that may wait here, while as many wait in the capture's own dump. */
const MAX_QUEUE_BYTES = 4 * 1024 * 1024;

/**
 * Invariant: each dump ends by itself at the end of the log, so that a transaction which is not where it should be is
 * an error and never a wait.
 */
export class BinlogPreparedSource implements PreparedSource {
  readonly #access: DumpAccess;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;

  /** @param signal ends what is read */
  constructor(access: DumpAccess, logger: Logger, signal: AbortSignal) {
    this.#access = access;
    this.#logger = logger;
    this.#signal = signal;
  }

  async open(prepared: PreparedTransaction): Promise<PreparedStream> {
    const server = await this.#serverPlace();
    const begin = startOfPrepared(prepared, server);
    const start =
      'gtidSet' in begin && 'gtids' in server
        ? await startByGtid(begin.gtidSet, null, { server, access: this.#access }, this.#signal)
        : begin;
    const { connection, serverId, heartbeatMs, clock } = this.#access;
    return openBinlogStream(
      {
        ...{ connection, serverId, heartbeatMs, clock, start },
        maxQueueBytes: MAX_QUEUE_BYTES,
        nonBlocking: true,
      },
      this.#signal,
    );
  }

  async find(xid: string, before: FilePosition): Promise<PreparedTransaction | null> {
    const server = await this.#serverPlace();
    const last = fileNumber(before.file);
    const files = server.files.filter(({ name }) => fileNumber(name) <= last).toReversed();
    this.#logger.info(
      { xid, place: formatPlace(before), files: files.length },
      'Searching the binlog backwards for where an XA transaction was prepared',
    );
    for (const { name } of files) {
      const end = name === before.file ? before.position : Infinity;
      const file = { name, end, gtids: hasGtids(server) };
      const found = await this.#findIn(file, xid).catch((error: unknown) =>
        this.#refused(error, name, xid),
      );
      if (found === 'ended') return null;
      if (found !== null) return found;
    }
    return null;
  }

  /** A file that was purged under the search is looked for no more; one that is there and not sent never will be. */
  async #refused(error: unknown, file: string, xid: string): Promise<never> {
    if (!(error instanceof RowcallError) || error.code !== 'BINLOG_DUMP_REFUSED') throw error;
    const { files } = await this.#serverPlace();
    if (files.some(({ name }) => name === file)) {
      const what = `the source does not send ${file}, where they may be: ${error.message}`;
      throw preparedMissing(xid, what, null, error);
    }
    throw new RowcallError('SOURCE_LOST', `The search for ${xid} ended: ${error.message}`, {
      cause: error,
    });
  }

  /** The last thing that the file says of the xid: that it is prepared, or over; null where it says nothing. */
  async #findIn(
    file: { readonly name: string; readonly end: number; readonly gtids: boolean },
    xid: string,
  ): Promise<PreparedTransaction | 'ended' | null> {
    const search = new XidSearch(xid);
    const start = { file: file.name, position: FIRST_POSITION, gtids: file.gtids };
    for await (const event of readEvents(this.#access, start, this.#signal, 'outcomes')) {
      if (event.file !== file.name || event.position >= file.end) break;
      search.take(event);
    }
    return search.found;
  }

  async #serverPlace(): Promise<ServerPlace | MariadbState> {
    const { connection, heartbeatMs } = this.#access;
    const limit = answerLimit(heartbeatMs);
    const source = await SourceConnection.open(connection, this.#signal, limit);
    try {
      return await readAnyServer(source);
    } finally {
      await source.close();
    }
  }
}

/** A dump by place may take the command by GTID, of MySQL alone. */
function hasGtids(server: ServerPlace | MariadbState): boolean {
  return 'gtids' in server && server.gtids !== null;
}

/**
 * A dump of this server that sends the transaction first.
 *
 * @throws RowcallError XA_PREPARE_MISSING, SOURCE_UNFIT: it is sent by no dump
 */
export function startOfPrepared(
  prepared: PreparedTransaction,
  server: ServerPlace | MariadbState,
): DumpStart {
  const { xid, gtid, at } = prepared;
  requireSent(prepared, server);
  if (at !== null) {
    if (!server.files.some(({ name }) => name === at.file)) {
      throw preparedMissing(xid, `the source no longer has ${at.file}`, at);
    }
    return { file: at.file, position: at.position, gtids: hasGtids(server) };
  }
  if (gtid === null || ('gtids' in server && server.gtids === null)) {
    throw preparedMissing(xid, 'without GTIDs they cannot be found on another server', null);
  }
  if (isPurgedGtid(gtid, server)) {
    throw preparedMissing(xid, `this server has purged ${gtid}, which prepared it`, null);
  }
  if ('purged' in server) {
    return { domains: justBefore([parseMariadbGtid(gtid)], server), holes: true };
  }
  if (server.gtids === null) throw new Error('Assertion failed: it has no place');
  const { executed } = server.gtids;
  // All but this one: the server finds the file.
  return { gtidSet: executed.subtract(GtidSet.parse(gtid)) };
}

/** Mode ON refuses to send what has no GTID, mode OFF what has one: it was prepared before a change. */
function requireSent(
  { xid, gtid, at }: PreparedTransaction,
  server: ServerPlace | MariadbState,
): void {
  if (!('gtidMode' in server)) return;
  const { gtidMode } = server;
  if (gtidMode !== (gtid === null ? 'ON' : 'OFF')) return;
  throw new RowcallError(
    'SOURCE_UNFIT',
    `XA transaction ${xid} was prepared ${gtid === null ? 'without a GTID' : `as ${gtid}`} and is committed: in gtid_mode ${gtidMode} the source does not send its rows`,
    {
      ...(at === null ? {} : { place: formatPlace(at) }),
      cure: `SET GLOBAL gtid_mode = ${gtidMode}_PERMISSIVE; start again, and set it back once the capture is past the XA COMMIT.`,
    },
  );
}

/** The rows of a transaction that was committed cannot be read any more. */
export function preparedMissing(
  xid: string,
  what: string,
  at: FilePosition | null,
  cause?: unknown,
): RowcallError {
  return new RowcallError(
    'XA_PREPARE_MISSING',
    `XA transaction ${xid} was committed, but its rows cannot be read: ${what}`,
    { ...(at === null ? {} : { place: formatPlace(at) }), cause },
  );
}
