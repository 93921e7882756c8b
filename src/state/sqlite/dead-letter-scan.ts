/** Dead letters looked through by a filter, a bounded part at a time. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

import { present } from '../../shared/assert.ts';
import { numberOf, numberOrNull, type Row } from '../../shared/sqlite-row.ts';
import { type DeadLetterFilter, type DeadLetterScan, SCANNED_AT_ONCE } from '../resend-store.ts';

/** A window of dead letters, by the index that it needs; what else is asked for is looked at within it. */
const WINDOW =
  'SELECT * FROM dead_letters WHERE id > :after AND id <= :upTo ORDER BY id LIMIT :most';
const WINDOW_OF =
  'SELECT * FROM dead_letters WHERE callback = :callback AND id > :after AND id <= :upTo ORDER BY id LIMIT :most';
const CHOSEN = `(:topic IS NULL OR w.topic = :topic) AND (:key IS NULL OR w.key = :key)
  AND (:cause IS NULL OR w.cause = :cause) AND w.died_at >= :from AND w.died_at < :to
  AND (:table IS NULL OR EXISTS (
    SELECT 1 FROM lane_events e WHERE e.lane = -w.id AND e.offset = w.offset AND e.table_name = :table))`;

interface Statements {
  readonly extent: StatementSync;
  readonly chosen: StatementSync;
  readonly count: StatementSync;
}

/** Invariant: one call looks at no more than `SCANNED_AT_ONCE` rows, as everything else of the store waits for it. */
export class DeadLetterScanner {
  readonly #all: Statements;
  readonly #ofCallback: Statements;

  constructor(db: DatabaseSync) {
    this.#all = statements(db, WINDOW);
    this.#ofCallback = statements(db, WINDOW_OF);
  }

  /** Rows as `dead_letters` has them, with their partition. */
  rows(scan: DeadLetterScan, limit: number): { rows: Row[]; next: number | null } {
    const { chosen } = this.#of(scan);
    const { next } = this.#extent(scan);
    const rows = chosen.all({ ...parameters(scan), ...filterOf(scan.filter), limit });
    const last = rows.at(-1);
    const full = last !== undefined && rows.length === limit;
    return { rows, next: full ? numberOf(last, 'id') : next };
  }

  count(scan: DeadLetterScan): { count: number; last: number; next: number | null } {
    const { count } = this.#of(scan);
    const row = present(count.get({ ...parameters(scan), ...filterOf(scan.filter) }), 'a count');
    return { count: numberOf(row, 'n'), ...this.#extent(scan) };
  }

  #extent(scan: DeadLetterScan): { last: number; next: number | null } {
    const row = present(this.#of(scan).extent.get(parameters(scan)), 'the extent of a window');
    const last = numberOrNull(row, 'last') ?? scan.afterId;
    return { last, next: numberOf(row, 'n') < SCANNED_AT_ONCE ? null : last };
  }

  #of({ filter }: DeadLetterScan): Statements {
    return filter.callback === undefined ? this.#all : this.#ofCallback;
  }
}

function statements(db: DatabaseSync, window: string): Statements {
  const within = `WITH w AS (${window})`;
  return {
    extent: db.prepare(`${within} SELECT count(*) AS n, max(id) AS last FROM w`),
    chosen: db.prepare(
      `${within} SELECT w.*, c.partition FROM w JOIN cursors c ON c.id = w.cursor
       WHERE ${CHOSEN} ORDER BY w.id LIMIT :limit`,
    ),
    count: db.prepare(`${within} SELECT count(*) AS n FROM w WHERE ${CHOSEN}`),
  };
}

function parameters({ filter, afterId, upToId }: DeadLetterScan): Record<string, SQLInputValue> {
  return {
    ...(filter.callback === undefined ? {} : { callback: filter.callback }),
    after: afterId,
    upTo: upToId ?? Number.MAX_SAFE_INTEGER,
    most: SCANNED_AT_ONCE,
  };
}

function filterOf({
  topic,
  table,
  key,
  cause,
  fromMs,
  toMs,
}: DeadLetterFilter): Record<string, SQLInputValue> {
  return {
    topic: topic ?? null,
    table: table ?? null,
    key: key ?? null,
    cause: cause ?? null,
    from: fromMs ?? -Number.MAX_VALUE,
    to: toMs ?? Number.MAX_VALUE,
  };
}
