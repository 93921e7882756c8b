/** What may be deleted from the embedded log, one small transaction at a time. */
import type { DatabaseSync } from 'node:sqlite';

import type { RetentionStep, Results } from './commands.ts';
import { CHUNK_BYTES, SpaceUsed } from './database.ts';
import type { LogFile } from './log-file.ts';
import { numberOf } from '../../shared/sqlite-row.ts';

/** Deleting more at once would hold the writer up: 1,000 rows take 2-4 ms. */
const STEP_ROWS = 1_000;
const STEP_BYTES = 16 * 1024 * 1024;
const VACUUM_PAGES = 100;
/** Free pages that stay in the file for the next appends. */
const SPARE_PAGES = 1_000;

interface Candidate {
  readonly seq: number;
  readonly partition: number;
  readonly end: number;
  readonly maxTimestampMs: number;
  readonly bytes: number;
}

/**
 * Deletes batches from the front of partitions. Invariant: what goes is a prefix of its partition, wholly
 * below the mark of every consumer that holds it, and `partitions.start` moves in the same transaction. Without it a callback could
 * find its next record gone, or a hole in the offsets.
 */
export class Retention {
  readonly #file: LogFile;
  readonly #db: DatabaseSync;
  readonly #space: SpaceUsed;
  readonly #sql;

  constructor(file: LogFile, db: DatabaseSync) {
    this.#file = file;
    this.#db = db;
    this.#space = new SpaceUsed(db);
    this.#sql = prepareAll(db);
  }

  /** Deletes up to STEP_ROWS batches. Works beside the writer of another process. */
  step(step: RetentionStep): Results['retention-step'] {
    return this.#file.transaction(() => {
      let excess = this.#space.bytes() - step.sizeBytes;
      const starts = new Map<number, number>();
      const stopped = new Set<number>();
      let bytes = 0;
      let rows = 0;
      const { candidates, horizon } = this.#candidates(step.consumers);
      let more = horizon !== Infinity;
      for (const batch of candidates) {
        if (stopped.has(batch.partition)) continue;
        const forSize = excess > 0 && batch.seq <= horizon;
        if (batch.maxTimestampMs >= step.before && !forSize) {
          stopped.add(batch.partition);
          continue;
        }
        if (rows >= STEP_ROWS || bytes >= STEP_BYTES) {
          more = true;
          break;
        }
        if (batch.bytes > CHUNK_BYTES) this.#sql.deleteChunks.run(batch.seq);
        this.#sql.deleteBatch.run(batch.seq);
        starts.set(batch.partition, batch.end);
        excess -= batch.bytes;
        bytes += batch.bytes;
        rows += 1;
      }
      for (const [partition, start] of starts) this.#sql.moveStart.run(start, partition);
      // Not simply until nothing is left: beside a fast writer of old records that would never end.
      return { bytes, more: more && rows > 0 };
    });
  }

  /** Gives a few free pages back to the file system. */
  vacuumStep(): boolean {
    const before = this.#space.freePages();
    if (before <= SPARE_PAGES) return false;
    this.#db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
    return this.#space.freePages() < before;
  }

  /**
   * The batches at the front of each partition that no consumer holds, oldest first. Where only a part of a
   * front was looked at, older batches than those of other fronts may wait behind it: up to `horizon` there are none.
   */
  #candidates(consumers: readonly string[]): { candidates: Candidate[]; horizon: number } {
    const limits = this.#deletable(consumers);
    const perPartition = Math.max(16, Math.ceil(STEP_ROWS / Math.max(1, limits.size)));
    const candidates: Candidate[] = [];
    let horizon = Infinity;
    for (const [partition, limit] of limits) {
      const rows = this.#sql.front.all(partition, limit, perPartition);
      for (const row of rows) {
        candidates.push({
          seq: numberOf(row, 'seq'),
          partition,
          end: numberOf(row, 'end'),
          maxTimestampMs: numberOf(row, 'max_ts'),
          bytes: numberOf(row, 'bytes'),
        });
      }
      const last = rows.at(-1);
      if (rows.length === perPartition && last !== undefined) {
        horizon = Math.min(horizon, numberOf(last, 'seq'));
      }
    }
    return { candidates: candidates.sort((a, b) => a.seq - b.seq), horizon };
  }

  /** Per partition with records: the offset from which somebody holds it. */
  #deletable(consumers: readonly string[]): Map<number, number> {
    const limits = new Map<number, number>();
    for (const row of this.#sql.limits.all(JSON.stringify(consumers))) {
      limits.set(numberOf(row, 'id'), numberOf(row, 'lowest'));
    }
    return limits;
  }
}

function prepareAll(db: DatabaseSync) {
  return {
    deleteBatch: db.prepare('DELETE FROM batches WHERE seq = ?'),
    deleteChunks: db.prepare('DELETE FROM chunks WHERE batch = ?'),
    moveStart: db.prepare('UPDATE partitions SET start = ? WHERE id = ?'),
    front: db.prepare(
      `SELECT seq, base + count AS "end", max_ts, bytes FROM batches INDEXED BY batches_by_offset
       WHERE partition = ?1 AND base < ?2 AND base + count <= ?2 ORDER BY base LIMIT ?3`,
    ),
    /**
     * The consumers named or, where none is, all ever marked: each holds a partition from its mark on, and all of it
     * where it has no mark with this topic's id, for it had no chance to mark it, or marked another log.
     */
    limits: db.prepare(
      `WITH holders (name) AS (
         SELECT value FROM json_each(?1)
         UNION SELECT name FROM consumers WHERE json_array_length(?1) = 0)
       SELECT p.id, min(p.next, coalesce((
         SELECT min(coalesce(m.next, 0)) FROM holders h LEFT JOIN marks m
           ON m.consumer = h.name AND m.topic = t.name AND m.partition = p.partition AND m.topic_id = t.id),
         p.next)) AS lowest
       FROM partitions p JOIN topics t ON t.seq = p.topic WHERE p.next > p.start`,
    ),
  };
}
