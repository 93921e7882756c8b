/** `rowcall binlog`: what stands in a binlog, from files or from the source. Changes nothing. */

import { basename } from 'node:path';
import { BinlogFile } from '../../../capture/binlog/binlog-file.ts';
import type { BinlogEvent } from '../../../capture/binlog/binlog-event.ts';
import { FIRST_POSITION } from '../../../capture/binlog/event-parser.ts';
import { type ErrorCode, RowcallError } from '../../../errors.ts';
import { fileNumber, formatPlace } from '../../../position.ts';
import type { CliIo } from '../io.ts';
import { Output } from './output.ts';
import { EventPlacer, type PlacedEvent } from './place-events.ts';
import { printEvent, type EventPrinter } from './print-event.ts';
import { jsonPrinter } from './print-json.ts';
import { textPrinter } from './print-text.ts';
import { EventFilter, parseWanted, type Wanted } from './range.ts';
import { type SourceView, withServerEvents } from './server-events.ts';

export interface BinlogOptions {
  readonly config?: string;
  readonly from?: string;
  readonly to?: string;
  readonly table?: readonly string[];
  readonly gtid?: string;
  readonly json?: boolean;
}

/** Where events come from: a file, or a dump of the source. Empty at the end. */
interface Events {
  next(): Promise<readonly BinlogEvent[]>;
}

/**
 * @throws RowcallError USAGE; BINLOG_ROWS_UNREAD at the end, where rows were shown with the reason why they cannot be
 *   read; BINLOG_FILE_… and BINLOG_EVENT_MALFORMED at the place where reading ended
 */
export async function printBinlog(
  files: readonly string[],
  options: BinlogOptions,
  io: CliIo,
): Promise<void> {
  const wanted = parseWanted(options);
  const { config } = options;
  const listing = new Listing(wanted, options.json === true, io);
  try {
    if (config === undefined) await listFiles(files, wanted, listing, io);
    else if (files.length > 0) throw sources('Files and -c are two ways: say one of them');
    else {
      const { from } = wanted;
      const start = from?.type === 'place' ? from.position : FIRST_POSITION;
      await withServerEvents(config, wanted, io, async (events, view) => {
        await beginning(start, listing, () => listing.print(events, view));
      });
    }
  } finally {
    listing.flush();
  }
  if (listing.unread === 0) return;
  const count = listing.unread === 1 ? 'One event has' : `${listing.unread} events have`;
  throw new RowcallError('BINLOG_ROWS_UNREAD', `${count} rows that could not be read whole`);
}

function sources(message: string): RowcallError {
  return new RowcallError('USAGE', message, {
    cure: 'rowcall binlog FILE…, or rowcall binlog -c CONFIGURATION.',
  });
}

async function listFiles(
  files: readonly string[],
  { from, to }: Wanted,
  listing: Listing,
  io: CliIo,
): Promise<void> {
  if (files.length === 0) throw sources('No binlog is named');
  if (from?.type === 'earliest') throw sources('--from earliest is for -c');
  const loose = [from, to].some((bound) => bound?.type === 'place' && bound.file === null);
  if (loose && files.length > 1) {
    throw new RowcallError('USAGE', 'A position alone belongs to one file', {
      cure: 'Write FILE:POSITION.',
    });
  }
  for (const path of files) {
    if (io.signal.aborted) return;
    const start = startIn(basename(path), from);
    if (start === null) continue;
    const file = await BinlogFile.open(path, start);
    try {
      if (await beginning(start, listing, () => listing.print(file))) return;
      reportEnd(file, path, listing, io);
    } finally {
      await file.close();
    }
  }
}

/** A place that is mistyped looks like a file that is damaged, or a server that refuses, at its very first event. */
async function beginning<T>(
  position: number,
  listing: Listing,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const isAtStart =
      position !== FIRST_POSITION && !listing.begun && error instanceof RowcallError;
    if (!isAtStart || !LIKE_A_WRONG_PLACE.has(error.code)) throw error;
    throw new RowcallError('USAGE', `No event can be read at --from ${position}`, {
      cure: 'Name the place of an event: rowcall binlog without --from lists them. If one begins there, the file is damaged.',
      cause: error,
    });
  }
}

const LIKE_A_WRONG_PLACE: ReadonlySet<ErrorCode> = new Set([
  ...(['BINLOG_CHECKSUM', 'BINLOG_EVENT_MALFORMED', 'BINLOG_DUMP_REFUSED'] as const),
]);

/** Where to begin in the file; null where all of it stands before the range. */
function startIn(name: string, from: Wanted['from']): number | null {
  if (from?.type !== 'place') return FIRST_POSITION;
  if (from.file === null || from.file === name) return from.position;
  return fileNumber(name) < fileNumber(from.file) ? null : FIRST_POSITION;
}

/** A file that is in use may end anywhere; any other ends between two transactions. */
function reportEnd(file: BinlogFile, path: string, listing: Listing, io: CliIo): void {
  if (!file.inUse) {
    if (!listing.isInTransaction) return;
    throw new RowcallError('BINLOG_FILE_CUT', 'The file ends within a transaction', {
      place: path,
    });
  }
  const { unfinished } = file;
  const tail =
    unfinished === null
      ? ''
      : `, and ends with the first ${unfinished.bytes} bytes of the event at ${formatPlace(unfinished.at)}`;
  listing.flush();
  io.err(`note: ${path} is still being written, or its server ended without closing it${tail}\n`);
}

/** Prints what is wanted of the events of one or several files. */
class Listing {
  readonly #filter: EventFilter;
  readonly #printer: EventPrinter;
  readonly #placer = new EventPlacer();
  readonly #output: Output;
  readonly #io: CliIo;
  #unread = 0;
  #begun = false;

  constructor(wanted: Wanted, json: boolean, io: CliIo) {
    this.#filter = new EventFilter(wanted);
    this.#printer = json ? jsonPrinter : textPrinter(io.colours === true);
    this.#output = new Output(io);
    this.#io = io;
  }

  get isInTransaction(): boolean {
    return this.#placer.isOpen;
  }

  /** An event was read that stands in the binlog. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Events with rows that could not be read whole. */
  get unread(): number {
    return this.#unread;
  }

  flush(): void {
    this.#output.flush();
  }

  /** Up to the end of the events. Returns whether the range ends there or before. */
  async print(events: Events, view: SourceView | null = null): Promise<boolean> {
    while (!this.#io.signal.aborted) {
      const batch = await events.next();
      if (batch.length === 0) return false;
      for (const event of batch) {
        const placed = this.#placer.take(event);
        // What a dump or a start within a file brings along stands nowhere in the file.
        if (event.position === event.endPosition) continue;
        this.#begun ||= event.position !== FIRST_POSITION;
        if (this.#filter.isBehind(placed)) return true;
        if (event.type === 'query') view?.types.statement(event.sql);
        if (this.#filter.wants(placed)) await this.#print(await seen(placed, view));
      }
      // Who looks at the end of a log wants to see it, not what fills a buffer.
      this.#output.flush();
    }
    return true;
  }

  async #print(placed: PlacedEvent): Promise<void> {
    const write = this.#output.add.bind(this.#output);
    const whole = await printEvent(this.#printer, write, placed, () => this.#output.drained());
    if (!whole) this.#unread += 1;
    await this.#output.drained();
  }
}

async function seen(placed: PlacedEvent, view: SourceView | null): Promise<PlacedEvent> {
  return view === null ? placed : view.rule.shown(await view.types.typed(placed));
}
