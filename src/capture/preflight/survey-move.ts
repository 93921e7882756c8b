/** What lies between two places, counted where the binlog still has it. */

import { RowcallError } from '../../errors.ts';
import { GtidSet } from '../../gtid-set.ts';
import { type Checkpoint, formatPlace } from '../../position.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import type { DumpStart } from '../binlog/dump-request.ts';
import { decodeRows } from '../decode/rows.ts';
import { TableMaps, type TableVersion } from '../decode/table-map.ts';
import { readXaStatement, xidOf } from '../xa/xid.ts';
import type { TypedTables } from '../typed-tables.ts';
import { startOfPassed } from './gtid-start.ts';
import {
  type AnyGtidEvent,
  type Fate,
  type Plan,
  planApart,
  planByPlace,
  planBySets,
  setsBetween,
} from './move-plan.ts';
import { type DumpAccess, readEvents } from './read-place.ts';
import type { MariadbState } from './mariadb/server-state.ts';
import type { ServerPlace } from './server-place.ts';
import { type CouldCapture, UnseenRows } from './unseen-rows.ts';

type RowsEvent = Extract<BinlogEvent, { type: 'rows' }>;
type QueryEvent = Extract<BinlogEvent, { type: 'query' }>;
type RowCounts = Map<string, number>;

export interface Tally {
  /** Transactions of these that the server has purged, or never had: they cannot be counted. */
  gone: bigint;
  transactions: number;
  /** Row changes of captured tables, by `schema.table`; those of XA transactions where they were committed. */
  readonly rows: Map<string, number>;
  /** What statements did to rows without row events, and how often, as `UnseenRows` words it. */
  readonly statements: Map<string, number>;
  /** XA transactions committed among these whose rows stand elsewhere: their rows are not counted. */
  preparedElsewhere: number;
}

export interface MoveSurvey {
  readonly tallies: Readonly<Record<Fate, Tally>>;
  /** Where and why counting ended before everything was counted; null where it did not. */
  readonly stopped: string | null;
}

/** How much of the binlog is looked at unless said otherwise. */
const MAX_BYTES = 256 * 1024 * 1024;

export interface SurveyAccess extends CouldCapture {
  readonly server: ServerPlace | MariadbState;
  readonly access: DumpAccess;
  /** Tells history from rows of MariaDB's tables that keep it. */
  readonly types: TypedTables;
  /**
   * What was read and what the server has now are two histories: then all that stands in the binlog is counted, what
   * stands before the new place as skipped, and what stands behind it as `again`. Default: false.
   */
  readonly apart?: boolean;
  /** Default: 256 MiB. */
  readonly maxBytes?: number;
}

/**
 * Reads what lies between the two places, up to a limit. What cannot be read ends the count and is told with its
 * place, as it would stop the capture there.
 *
 * @returns null where it cannot be told what lies between: places of two servers, without GTIDs
 * @throws the signal's reason
 */
export async function surveyMove(
  now: Checkpoint,
  next: Checkpoint,
  at: SurveyAccess,
  signal: AbortSignal,
): Promise<MoveSurvey | null> {
  const plan = planOf(now, next, at);
  if (plan === null) return null;
  const survey = await count(plan, plan.start, at, signal);
  const again = await startOfMissed(plan, survey, at, signal);
  return (again === null ? survey : await count(plan, again, at, signal)).result;
}

function planOf(now: Checkpoint, next: Checkpoint, at: SurveyAccess): Plan | null {
  if (at.apart === true) return planApart(next, at.server);
  const sets = setsBetween(now, next);
  return sets === null ? planByPlace(now, next) : planBySets(sets, at.server);
}

/** The server may choose a file behind some of what we asked for: what came shows it. */
async function startOfMissed(
  { wanted }: Plan,
  survey: Survey,
  { server, access }: SurveyAccess,
  signal: AbortSignal,
): Promise<DumpStart | null> {
  if (wanted === null || !('gtids' in server) || survey.result.stopped !== null) return null;
  const missed = wanted.subtract(survey.seen);
  return startOfPassed(wanted, missed, { server, access }, signal);
}

/** Counts from there on. @throws the signal's reason */
async function count(
  plan: Plan,
  start: DumpStart | null,
  at: SurveyAccess,
  signal: AbortSignal,
): Promise<Survey> {
  const survey = new Survey(plan, at);
  if (start === null) return survey;
  try {
    for await (const event of readEvents(at.access, start, signal, 'all')) {
      if (!(await survey.take(event))) break;
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof RowcallError) || error.code === 'INTERNAL') {
      throw error;
    }
    const where = error.place === undefined ? '' : ` at ${error.place}`;
    survey.stop(`${error.code}${where}: ${error.message}`);
  }
  return survey;
}

/** The count as it goes. */
class Survey {
  readonly #plan: Plan;
  readonly #at: SurveyAccess;
  readonly #tables = new TableMaps();
  /** The list of wanted columns belongs to one table version: none of each. */
  readonly #none = new WeakMap<TableVersion, []>();
  readonly #tallies: Record<Fate, Tally>;
  /** Of XA transactions that are prepared, by xid. As many as were looked at, which has a limit. */
  readonly #prepared = new Map<string, RowCounts>();
  /** The XA transaction at hand. */
  #held: { readonly xid: string; readonly rows: RowCounts } | null = null;
  readonly #unseen: UnseenRows;
  #fate: Fate | null = null;
  #counted = 0n;
  /** Of MySQL: those that were counted. */
  readonly seen = new GtidSet();
  #bytes = 0;
  #stopped: string | null = null;

  constructor(plan: Plan, at: SurveyAccess) {
    this.#plan = plan;
    this.#at = at;
    this.#unseen = new UnseenRows(at);
    const tally = (gone: bigint): Tally => ({
      gone,
      transactions: 0,
      rows: new Map(),
      statements: new Map(),
      preparedElsewhere: 0,
    });
    this.#tallies = { again: tally(plan.gone.again), skipped: tally(plan.gone.skipped) };
  }

  get result(): MoveSurvey {
    return { tallies: this.#tallies, stopped: this.#stopped };
  }

  stop(why: string): void {
    this.#stopped = why;
  }

  /** False when nothing further is to be counted. */
  async take(event: BinlogEvent): Promise<boolean> {
    this.#bytes += event.bytes;
    if (event.type === 'gtid' || event.type === 'mariadb-gtid') return this.#begin(event);
    if (event.type === 'format-description') this.#tables.clear(event.serverVersion);
    else if (event.type === 'table-map') this.#tables.put(event);
    else if (event.type === 'query') this.#query(event);
    else if (event.type === 'xa-prepare') this.#prepare(event.onePhase);
    else if (event.type === 'rows') await this.#rows(event);
    return true;
  }

  #begin(event: AnyGtidEvent): boolean {
    const { maxBytes = MAX_BYTES } = this.#at;
    const fate = this.#plan.fateOf(event, this.#counted);
    if (fate === 'end') return false;
    if (this.#bytes > maxBytes) {
      this.stop(`${maxBytes >> 20} MiB were looked at, up to ${formatPlace(event)}`);
      return false;
    }
    this.#fate = fate;
    this.#unseen.begin(event);
    this.#held = heldBy(event);
    if (fate === null) return true;
    if (event.type === 'gtid' && event.gtid !== null) this.seen.add(event.gtid);
    this.#counted += 1n;
    this.#tallies[fate].transactions += 1;
    return true;
  }

  #query(event: QueryEvent): void {
    const { sql } = event;
    this.#at.types.statement(sql);
    const unseen = this.#unseen.of(event);
    if (this.#fate !== null) {
      for (const what of unseen) add(this.#tallies[this.#fate].statements, what, 1);
    }
    const statement = readXaStatement(sql);
    if (statement === null) return;
    const { verb, xid } = statement;
    if (verb === 'START') this.#held = { xid, rows: new Map() };
    if (verb === 'COMMIT') this.#count(this.#prepared.get(xid));
    if (verb === 'COMMIT' || verb === 'ROLLBACK') this.#prepared.delete(xid);
  }

  #prepare(onePhase: boolean): void {
    if (this.#held === null) return;
    const { xid, rows } = this.#held;
    if (onePhase) this.#count(rows);
    else this.#prepared.set(xid, rows);
    this.#held = null;
  }

  /** Rows that are committed by the transaction at hand. */
  #count(counts: RowCounts | undefined): void {
    if (this.#fate === null) return;
    const tally = this.#tallies[this.#fate];
    if (counts === undefined) tally.preparedElsewhere += 1;
    for (const [table, count] of counts ?? []) add(tally.rows, table, count);
  }

  /** Of a table with history what becomes of its current rows, as the capture delivers it. */
  async #rows(event: RowsEvent): Promise<void> {
    const version = this.#tables.get(event.tableId);
    if (this.#fate === null || version === undefined) return;
    if (!this.#at.captured(version.schema, version.table)) return;
    const table = await this.#at.types.typed(version, event);
    let columns = this.#none.get(table);
    if (columns === undefined) this.#none.set(table, (columns = []));
    let count = 0;
    for (const { before, after } of decodeRows(event, table, columns)) {
      if (before !== null || after !== null) count += 1;
    }
    add(this.#held?.rows ?? this.#tallies[this.#fate].rows, table.name, count);
  }
}

/** MariaDB says it in the GTID event of the rows, and writes no XA START. */
function heldBy(event: AnyGtidEvent): { readonly xid: string; readonly rows: RowCounts } | null {
  if (event.type === 'gtid' || event.xa?.part !== 'prepared') return null;
  return { xid: xidOf(event.xa.xid), rows: new Map() };
}

function add(counts: RowCounts, table: string, count: number): void {
  counts.set(table, (counts.get(table) ?? 0) + count);
}
