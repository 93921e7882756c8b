/**
 * How long the source keeps its binlog. Three variables decide it together:
 * https://dev.mysql.com/doc/refman/8.0/en/replication-options-binary-log.html#sysvar_binlog_expire_logs_seconds
 */

import type { Finding } from './check-source.ts';

/** What a server that has no other wish keeps, and what the cure asks for at least. */
const WEEK_S = 604_800;

/**
 * Seconds that the binlog is kept at least; Infinity where it never expires by itself. What a managed server adds
 * by means of its own (RDS' "binlog retention hours") is in no variable.
 */
export function retentionSeconds(settings: ReadonlyMap<string, string>): number {
  // From 8.0.29 on: nothing is purged while it is off, whatever the others say.
  if (settings.get('binlog_expire_logs_auto_purge')?.toUpperCase() === 'OFF') return Infinity;
  const seconds = Number(settings.get('binlog_expire_logs_seconds') ?? 0);
  if (seconds > 0) return seconds;
  // Until 8.3, and of effect only where the other is 0.
  const days = Number(settings.get('expire_logs_days') ?? 0);
  return days > 0 ? days * 86_400 : Infinity;
}

/** Nothing, or that the binlog may be gone before it is read. */
export function checkRetention(
  settings: ReadonlyMap<string, string>,
  minimumMs: number,
): Finding[] {
  const minimum = Math.ceil(minimumMs / 1000);
  const kept = retentionSeconds(settings);
  if (kept >= minimum) return [];
  const days = Number(settings.get('expire_logs_days') ?? 0);
  // The server refuses to have both.
  const first = days > 0 ? 'SET PERSIST expire_logs_days = 0; ' : '';
  const check = Number(settings.get('binlog_expire_logs_seconds') ?? 0) > 0;
  return [
    {
      check: check ? 'binlog_expire_logs_seconds' : 'expire_logs_days',
      value: check ? String(kept) : String(days),
      want: `0 (never) or at least ${minimum} seconds (source.minimum_retention)`,
      why: 'Binlog that expires while Rowcall is down, or its log is full, is lost.',
      sql: `${first}SET PERSIST binlog_expire_logs_seconds = ${Math.max(minimum, WEEK_S)};`,
      severity: 'error',
    },
  ];
}
