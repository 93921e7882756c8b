/** When a limit of the binlog's total size will have the server purge what is needed, whatever its age. */

import { fileNumber } from '../../position.ts';
import type { BinlogFile } from './server-place.ts';

/**
 * Bytes that all binlog files together may have; Infinity without a limit. MariaDB from 11.4 on calls it by both
 * names, Percona Server by the second: https://docs.percona.com/percona-server/8.4/binlog-space.html
 */
export function sizeLimit(settings: ReadonlyMap<string, string>): number {
  const limits = SIZE_LIMITS.map((name) => Number(settings.get(name) ?? 0)).filter((n) => n > 0);
  return Math.min(Infinity, ...limits);
}

export const SIZE_LIMITS = ['max_binlog_total_size', 'binlog_space_limit'] as const;

export interface SpaceLook {
  readonly limitBytes: number;
  /** What the server writes in a millisecond; null while that is not known. */
  readonly written: number | null;
  /** What of it is not read, in a millisecond; null while that is not known. */
  readonly growing: number | null;
}

/** Bytes that the server can write until it purges the file, oldest first. Null: it is purged. */
export function bytesLeft(
  file: string | null,
  files: readonly BinlogFile[],
  { limitBytes }: SpaceLook,
): number {
  if (limitBytes === Infinity) return Infinity;
  if (file === null) return 0;
  const from = fileNumber(file);
  const needed = files.filter(({ name }) => fileNumber(name) >= from);
  return Math.max(0, limitBytes - needed.reduce((sum, { bytes }) => sum + bytes, 0));
}

/** Milliseconds until so many bytes are written; Infinity while nothing is known to be. */
export function untilWritten(bytes: number, perMs: number | null): number {
  if (bytes === 0) return 0;
  return perMs === null || perMs <= 0 ? Infinity : bytes / perMs;
}

interface Look {
  readonly atMs: number;
  readonly written: number;
  readonly unread: number;
}

/**
 * How fast binlog is written, and how fast what is not read of it grows, over the last looks. Invariant: files are
 * counted whole or by what they grew, so that a rotation between two looks is no jump.
 */
export class WritingPace {
  readonly #looks: Look[] = [];
  readonly #keep: number;
  #newest: BinlogFile | null = null;
  #written = 0;

  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Takes a look in. Nulls until there are two. */
  seen(
    atMs: number,
    files: readonly BinlogFile[],
    unread: number,
  ): Pick<SpaceLook, 'written' | 'growing'> {
    this.#written += this.#since(files);
    this.#newest = files.at(-1) ?? null;
    this.#looks.push({ atMs, written: this.#written, unread });
    if (this.#looks.length > this.#keep) this.#looks.shift();
    const [first] = this.#looks;
    if (first === undefined || first.atMs >= atMs) return { written: null, growing: null };
    const ms = atMs - first.atMs;
    return { written: (this.#written - first.written) / ms, growing: (unread - first.unread) / ms };
  }

  #since(files: readonly BinlogFile[]): number {
    const newest = this.#newest;
    if (newest === null) return 0;
    const number = fileNumber(newest.name);
    return files.reduce((sum, { name, bytes }) => {
      if (fileNumber(name) > number) return sum + bytes;
      return fileNumber(name) === number ? sum + Math.max(0, bytes - newest.bytes) : sum;
    }, 0);
  }
}
