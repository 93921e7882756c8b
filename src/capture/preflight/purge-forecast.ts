/** When the server will purge binlog that is not read yet, from its expiry, the limit of its size, our lag and our pace. */

import { fileNumber } from '../../position.ts';
import { bytesLeft, type SpaceLook, untilWritten } from './purge-by-size.ts';
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
  readonly space: SpaceLook;
}

export interface PreparedLook {
  readonly xid: string;
  /** Null: it is purged. */
  readonly file: string | null;
  /** When the file behind it was begun; null where it is the newest. */
  readonly nextBegunMs: number | null;
}

export interface PurgeForecast {
  /** How long the server keeps a file, by its age, or by the limit of the size at the pace of writing. */
  readonly keptMs: number;
  /** What the server can write until a limit of the size has it purge the oldest file that is needed; Infinity without one. */
  readonly leftBytes: number;
  /** The limit of the size comes before the age. */
  readonly bySize: boolean;
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
  const { nextBegunMs, prepared, space } = look;
  const unreadBytes = unreadOf(look);
  const left = bytesLeft(look.file, look.files, space);
  const standing = sooner(untilPurged(nextBegunMs, look), untilWritten(left, space.written));
  const reading = unreadBytes === 0 ? NEVER : sooner(aged(look), filled(left, space));
  const keptMs = Math.min(look.keptMs, untilWritten(space.limitBytes, space.written));
  const read = { keptMs, unreadBytes, oldestFile: look.file };
  if (prepared === null) {
    const { ms: leftMs, bySize } = reading;
    return {
      ...read,
      ...{ leftMs, standingMs: standing.ms, leftBytes: left },
      ...{ bySize: unreadBytes === 0 ? standing.bySize : bySize, preparedXid: null },
    };
  }
  const { xid, file } = prepared;
  const rest = bytesLeft(file, look.files, space);
  const open =
    file === null
      ? { ms: 0, bySize: false }
      : sooner(untilPurged(prepared.nextBegunMs, look), untilWritten(rest, space.written));
  return {
    ...read,
    leftMs: Math.min(reading.ms, open.ms),
    standingMs: Math.min(standing.ms, open.ms),
    leftBytes: Math.min(left, rest),
    bySize: open.ms < reading.ms ? open.bySize : reading.bySize,
    oldestFile: file === null || fileNumber(file) < fileNumber(look.file) ? file : look.file,
    preparedXid: open.ms < reading.ms ? xid : null,
  };
}

interface Until {
  readonly ms: number;
  readonly bySize: boolean;
}

const NEVER: Until = { ms: Infinity, bySize: false };

function sooner(byAgeMs: number, bySizeMs: number): Until {
  return bySizeMs < byAgeMs ? { ms: bySizeMs, bySize: true } : { ms: byAgeMs, bySize: false };
}

/** What is read now is never the file that is begun to age: the later of the two counts. */
function aged(look: PurgeLook): number {
  return Math.max(untilPurged(look.nextBegunMs, look), atPace(look));
}

/** At the pace at which what is not read grows; as for one who stands still while that is not known. */
function filled(left: number, { written, growing }: SpaceLook): number {
  if (growing === null) return untilWritten(left, written);
  return growing <= 0 ? Infinity : untilWritten(left, growing);
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

export function unreadOf({
  files,
  file,
  position,
}: Pick<PurgeLook, 'files' | 'file' | 'position'>): number {
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
