/**
 * What does not keep a source from being read, and still loses, bends or delays something: one check to a file of
 * checks/, one list here. `rowcall doctor` shows all of it; a start logs the warnings once.
 */

import { RowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import type { TableRule } from '../route/table-rule.ts';
import { type Finding, readAccount, readSettings } from './check-source.ts';
import { checkBinlogFilters } from './checks/binlog-filters.ts';
import { checkClock } from './checks/clock.ts';
import { checkColumnTypes } from './checks/column-types.ts';
import { checkDurability } from './checks/durability.ts';
import { checkForeignKeys } from './checks/foreign-keys.ts';
import { checkLargeIntegers } from './checks/large-integers.ts';
import { checkLink } from './checks/link.ts';
import { checkPacketSize } from './checks/packet-size.ts';
import { checkPrepared } from './checks/prepared.ts';
import { checkRights } from './checks/rights.ts';
import { checkRuleColumns } from './checks/rule-columns.ts';
import { checkSequences } from './checks/sequences.ts';
import { checkTableRules } from './checks/table-rules.ts';
import { checkTimeZones } from './checks/time-zones.ts';
import { checkUnfitRules } from './checks/unfit-rules.ts';
import { checkWrittenForm } from './checks/written-form.ts';
import { inMariadbsWords } from './mariadb/mariadb-words.ts';
import { type ServerVersion, readVersion } from './server-place.ts';
import { type SeenTables, readTables } from './tables-seen.ts';

/** What is looked at of a rule. */
export type SeenRule = Pick<TableRule, 'match' | 'excludeColumns'> & Partial<TableRule>;

export interface SurroundingsWishes {
  readonly rules: readonly SeenRule[];
  /** How the source is reached: over a socket or loopback, and with which source.tls.mode. */
  readonly link: { readonly isLocal: boolean; readonly tlsMode: string };
  /** Of one record in the log, bytes; null where it is not known. */
  readonly maxRecordBytes: number | null;
  readonly clock: Clock;
}

/** What a check may ask and look at. */
export interface Surroundings extends SurroundingsWishes {
  readonly source: SourceConnection;
  readonly version: ServerVersion;
  readonly settings: ReadonlyMap<string, string>;
  /** As GRANT names it. */
  readonly account: string;
  readonly tables: SeenTables;
}

export type SurroundingsCheck = (
  on: Surroundings,
) => readonly Finding[] | Promise<readonly Finding[]>;

const CHECKS: readonly SurroundingsCheck[] = [
  checkRights,
  checkLink,
  checkDurability,
  checkBinlogFilters,
  checkForeignKeys,
  checkTableRules,
  checkSequences,
  checkRuleColumns,
  checkUnfitRules,
  checkColumnTypes,
  checkLargeIntegers,
  checkPacketSize,
  checkWrittenForm,
  checkPrepared,
  checkClock,
  checkTimeZones,
];

/**
 * All findings of all checks. Asks more of the server than a reconnect should cost: for doctor, and once a start.
 * A server that cannot be a source at all has none: that is check-source's to tell.
 *
 * @throws RowcallError SOURCE_LOST, SOURCE_SILENT; the signal's reason
 */
export async function checkSurroundings(
  source: SourceConnection,
  wishes: SurroundingsWishes,
): Promise<readonly Finding[]> {
  const version = await readVersion(source);
  if (!version.isMariaDb && version.major < 8) return [];
  const settings = await readSettings(source);
  const account = await readAccount(source);
  const tables = await readTables(source, wishes.rules);
  const on = { ...wishes, source, version, settings, account, tables };
  const findings: Finding[] = [];
  for (const check of CHECKS) findings.push(...(await attempt(check, on)));
  return version.isMariaDb ? findings.map(inMariadbsWords) : findings;
}

/** A question that this server does not answer is a finding, so that it does not hide what others answer. */
async function attempt(check: SurroundingsCheck, on: Surroundings): Promise<readonly Finding[]> {
  try {
    return await check(on);
  } catch (error) {
    if (!(error instanceof RowcallError) || !UNANSWERED.has(error.code)) throw error;
    return [notChecked(check.name, error.message, error.cure)];
  }
}

const UNANSWERED: ReadonlySet<string> = new Set(['SOURCE_QUERY_FAILED', 'SOURCE_ACCESS_DENIED']);

function notChecked(check: string, value: string, sql: string): Finding {
  const why = 'The server did not answer the question, so nothing can be said about it.';
  return { check, value, want: 'an answer', why, sql: `-- ${sql}`, severity: 'note' };
}
