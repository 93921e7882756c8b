/** One entry of `tables`, as routing takes it. */

import { createHash } from 'node:crypto';
import type { EventFormat } from '../../event-format.ts';
import type { OpenType } from '../decode/column.ts';

export interface TableRule {
  /** Globs on schema.table. A table matches with at least one of them and none of those behind `!`. */
  readonly match: readonly string[];
  /** Template with {name}, {schema} and {table}; of an outbox also {aggregate_type}. */
  readonly topic: string;
  /** Key columns, or the column for each name in the key; null for the primary key. */
  readonly key: readonly string[] | Readonly<Record<string, string>> | null;
  /** Names of columns that stay out of the event; one that a table does not have is no error. */
  readonly excludeColumns: readonly string[];
  /** The only columns of the event; null for all. */
  readonly includeColumns?: readonly string[] | null;
  /** Columns whose values are hidden. */
  readonly maskColumns?: readonly string[];
  readonly hashColumns?: HashRule | null;
  /** Characters that are left, by column. */
  readonly truncateColumns?: Readonly<Record<string, number>>;
  /** What columns are whose type MariaDB's binlog leaves open. */
  readonly columnTypes?: Readonly<Record<string, OpenType>>;
  readonly format?: EventFormat;
  readonly values?: 'rowcall' | 'debezium';
  readonly bigint?: 'number' | 'string';
  /** A record without a value behind each delete. */
  readonly tombstones?: boolean;
  /** Whether TRUNCATE and DROP of a table are events. */
  readonly truncate?: 'emit' | 'skip';
  readonly outbox?: OutboxRule | null;
}

export interface HashRule {
  readonly columns: readonly string[];
  /** Kept so that no log line or error with the whole rule in it gives it away. */
  readonly key: { readonly reveal: () => string };
}

/** Names of the columns that say where a row of an outbox table goes, and what it is. */
export interface OutboxRule {
  readonly id: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly type: string;
  readonly payload: string;
}

/** A rule with nothing left out. */
export type FullTableRule = Required<TableRule>;

export function fullRule(rule: TableRule): FullTableRule {
  return {
    includeColumns: null,
    maskColumns: [],
    hashColumns: null,
    truncateColumns: {},
    columnTypes: {},
    format: 'debezium',
    values: 'rowcall',
    bigint: 'number',
    tombstones: false,
    truncate: 'emit',
    outbox: null,
    ...rule,
  };
}

/** Identifies the rules: another hash means that rows may go elsewhere, or look different, than before. */
export function routingHash(rules: readonly TableRule[]): string {
  const canonical = rules.map(fullRule).map((rule) => [
    ...[rule.match, rule.topic, rule.key, rule.excludeColumns, rule.includeColumns],
    // The key is a secret, and a digest of it would stand in the checkpoint for anybody to try words against.
    ...[rule.maskColumns, rule.hashColumns?.columns ?? null, rule.truncateColumns],
    ...[rule.format, rule.values, rule.bigint, rule.tombstones, rule.outbox, rule.truncate],
    // Not where there are none: rules of before this option existed are the same rules.
    ...(Object.keys(rule.columnTypes).length === 0 ? [] : [rule.columnTypes]),
  ]);
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex');
}
