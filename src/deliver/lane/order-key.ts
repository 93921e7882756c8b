/** What is kept in order: the events of one key of a topic; of a table without a key, all of its events. */

import type { LogRecord } from '../../change-event.ts';

/** The record's key, which begins with `{`; for keyless tables `~` and the table, which no key can be. */
export function orderKey(record: Pick<LogRecord, 'key' | 'table'>): string {
  return record.key ?? `~${record.table}`;
}

/** Of a truncate, which has no key: `!` and the table, which no other order key can be. */
export function truncateKey(table: string): string {
  return `!${table}`;
}

/** A lane of this key holds a truncate, and closes its topic. */
export function isTruncateKey(key: string): boolean {
  return key.startsWith('!');
}

/** The record's key again, from a lane. */
export function keyOfOrderKey(key: string): string | null {
  return key.startsWith('~') || isTruncateKey(key) ? null : key;
}

/** Topic and order key as one: topics hold no spaces. */
export function laneKey(topic: string, key: string): string {
  return `${topic} ${key}`;
}
