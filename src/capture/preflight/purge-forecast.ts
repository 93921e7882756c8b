/** When the server will purge binlog that is not read yet, from its expiry, our lag and our pace. */

import { fileNumber } from '../../position.ts';
import type { BinlogFile } from './server-place.ts';

/** One look at source and place. Times in milliseconds, by the clock of the source. */
export interface PurgeLook {
  readonly nowMs: number;
  /** How long the server keeps a file after the next one was begun; Infinity where nothing expires by itself. */
  readonly keptMs: number;
  /** Oldest first. */
  readonly files: readonly BinlogFile[];
  /** Where a new connection would go on. */
  readonly file: string;
  readonly position: number;
  /** When the file behind ours was begun; null where ours is the newest. */
  readonly nextBegunMs: number | null;
  /** Commit time of the newest transaction read; 0 before the first. */
  readonly committedMs: number;
  /** Milliseconds of commit time read in a millisecond; null while that is not known. */
  readonly pace: number | null;
  /** Where the rows of the oldest prepared XA transaction stand; null where none is open. */
  readonly prepared: PreparedLook | null;
}

export interface PreparedLook {
  readonly xid: string;
  /** Null: it is purged. */
  readonly file: string | null;
  /** When the file behind it was begun; null where it is the newest. */
  readonly nextBegunMs: number | null;
}

export interface PurgeForecast {
  readonly keptMs: number;
  /** Binlog that is not read yet. */
  readonly unreadBytes: number;
  /** How long until what we need may be purged at the present pace; Infinity while we keep ahead. */
  readonly leftMs: number;
  /** The same if nothing were read from now on. */
  readonly standingMs: number;
  /** The oldest file that is needed; null where it is purged. */
  readonly oldestFile: string | null;
  /** The prepared XA transaction that will be purged before what is read; null where reading is the first. */
  readonly preparedXid: string | null;
}

/**
 * The server purges whole files, once the next one is older than the expiry, at a rotation or a start. It spares
 * one that an open dump is reading: past that time our connection alone keeps it, and its loss loses the place.
 * Purges by hand, and what a managed server does by means of its own, cannot be foreseen.
 *
 * Of an XA transaction that is prepared the rows are read again at XA COMMIT, so that its file is needed as well: no
 * dump holds that one, and no pace of ours brings the XA COMMIT nearer.
 */
export function forecastPurge(look: PurgeLook): PurgeForecast {
  const { keptMs, nextBegunMs } = look;
  const unreadBytes = unread(look);
  const standingMs = untilPurged(nextBegunMs, look);
  const leftMs = unreadBytes === 0 ? Infinity : Math.max(standingMs, atPace(look));
  const read = { keptMs, unreadBytes, leftMs, standingMs, oldestFile: look.file };
  const { prepared } = look;
  if (prepared === null) return { ...read, preparedXid: null };
  const { xid, file } = prepared;
  const preparedMs = file === null ? 0 : untilPurged(prepared.nextBegunMs, look);
  return {
    ...read,
    leftMs: Math.min(leftMs, preparedMs),
    standingMs: Math.min(standingMs, preparedMs),
    oldestFile: file === null || fileNumber(file) < fileNumber(look.file) ? file : look.file,
    preparedXid: preparedMs < leftMs ? xid : null,
  };
}

/** The newest file must be rotated before it begins to age. */
function untilPurged(nextBegunMs: number | null, { nowMs, keptMs }: PurgeLook): number {
  return nextBegunMs === null ? keptMs : Math.max(0, nextBegunMs + keptMs - nowMs);
}

/** Our lag grows by what the pace lacks to 1, until it is what the server keeps. */
function atPace({ nowMs, keptMs, committedMs, pace }: PurgeLook): number {
  if (pace === null || committedMs === 0) return 0;
  if (pace >= 1) return Infinity;
  return (keptMs - (nowMs - committedMs)) / (1 - pace);
}

function unread({ files, file, position }: PurgeLook): number {
  const ours = fileNumber(file);
  let bytes = 0;
  for (const { name, bytes: size } of files) {
    if (fileNumber(name) > ours) bytes += size;
    else if (name === file) bytes += Math.max(0, size - position);
  }
  return bytes;
}

/** The pace of reading over the last looks. */
export class ReadingPace {
  readonly #looks: { readonly atMs: number; readonly committedMs: number }[] = [];
  readonly #keep: number;

  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Takes a look in. Null until there are two, or before anything was read. */
  seen(atMs: number, committedMs: number): number | null {
    if (committedMs === 0) return null;
    this.#looks.push({ atMs, committedMs });
    if (this.#looks.length > this.#keep) this.#looks.shift();
    const [first] = this.#looks;
    if (first === undefined || first.atMs >= atMs) return null;
    // Commit times run back where a replica has several sources; that is no pace.
    return Math.max(0, committedMs - first.committedMs) / (atMs - first.atMs);
  }
}
