/** What lies between two places, counted where the binlog still has it. */

import { RowcallError } from '../../errors.ts';
import { isMariadbServer } from '../../executed-gtids.ts';
import { GtidSet } from '../../gtid-set.ts';
import { MariadbPosition } from '../../mariadb-gtid.ts';
import { type Checkpoint, comparePlaces, formatPlace } from '../../position.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import type { DumpStart } from '../binlog/dump-request.ts';
import { decodeRows } from '../decode/rows.ts';
import { TableMaps, type TableVersion } from '../decode/table-map.ts';
import { readXaStatement, xidOf } from '../xa/xid.ts';
import type { TypedTables } from '../typed-tables.ts';
import { othersThan, startOfPassed } from './gtid-start.ts';
import { type DumpAccess, readEvents } from './read-place.ts';
import { commonPosition, MariadbBetween } from './mariadb/between.ts';
import type { MariadbState } from './mariadb/server-state.ts';
import type { ServerPlace } from './server-place.ts';

type AnyGtidEvent = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;
type RowsEvent = Extract<BinlogEvent, { type: 'rows' }>;
type RowCounts = Map<string, number>;

/** The two fates of a transaction between the places. */
export type Fate = 'again' | 'skipped';

/** By GTID, which transactions; null where one of the places has none. */
export type MoveSets =
  | { readonly kind: 'mysql'; readonly again: GtidSet; readonly skipped: GtidSet }
  | {
      readonly kind: 'mariadb';
      readonly again: MariadbBetween;
      readonly skipped: MariadbBetween;
      /** Where both places have been. */
      readonly common: MariadbPosition;
    };

export interface Tally {
  /** Transactions of these that the server has purged, or never had: they cannot be counted. */
  gone: bigint;
  transactions: number;
  /** Row changes of captured tables, by `schema.table`; those of XA transactions where they were committed. */
  readonly rows: Map<string, number>;
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

export function setsBetween(now: Checkpoint, next: Checkpoint): MoveSets | null {
  if (now.gtidSet === null || next.gtidSet === null) return null;
  const kinds = [now, next].map(({ serverUuid }) => isMariadbServer(serverUuid));
  if (kinds[0] !== kinds[1]) return null;
  if (kinds[0] === true) return positionsBetween(now.gtidSet, next.gtidSet);
  const [seen, wanted] = [GtidSet.parse(now.gtidSet), GtidSet.parse(next.gtidSet)];
  return { kind: 'mysql', again: seen.subtract(wanted), skipped: wanted.subtract(seen) };
}

function positionsBetween(now: string, next: string): MoveSets {
  const [seen, wanted] = [MariadbPosition.parse(now), MariadbPosition.parse(next)];
  const again = new MariadbBetween(wanted, seen);
  const skipped = new MariadbBetween(seen, wanted);
  return { kind: 'mariadb', again, skipped, common: commonPosition(seen, wanted) };
}

export interface SurveyAccess {
  readonly server: ServerPlace | MariadbState;
  readonly access: DumpAccess;
  /** Whether a rule could capture the table. */
  readonly captured: (schema: string, table: string) => boolean;
  /** Tells history from rows of MariaDB's tables that keep it. */
  readonly types: TypedTables;
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
  const route = setsBetween(now, next);
  const plan = route === null ? planByPlace(now, next) : planBySets(route, at.server);
  if (plan === null) return null;
  const survey = await count(plan, plan.start, at, signal);
  const again = await startOfMissed(plan, survey, at, signal);
  return (again === null ? survey : await count(plan, again, at, signal)).result;
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

interface Plan {
  /** Null where nothing lies between, or the server has nothing of it. */
  readonly start: DumpStart | null;
  readonly gone: Readonly<Record<Fate, bigint>>;
  /** Of MySQL by GTID: what the server has of it, each of which must come. Null elsewhere. */
  readonly wanted: GtidSet | null;
  /** Whether the transaction lies between; `end`: nothing behind it does. */
  readonly fateOf: (event: AnyGtidEvent, counted: bigint) => Fate | 'end' | null;
}

function planBySets(sets: MoveSets, server: ServerPlace | MariadbState): Plan | null {
  if (sets.kind === 'mysql') return 'gtids' in server ? planByGtid(sets, server) : null;
  return 'purged' in server ? planByDomain(sets, server) : null;
}

function planByDomain(
  { again, skipped, common }: Extract<MoveSets, { kind: 'mariadb' }>,
  { purged }: MariadbState,
): Plan {
  const gone = { again: again.sizeUpTo(purged), skipped: skipped.sizeUpTo(purged) };
  const start = common.clone();
  for (const gtid of purged.entries()) start.raise(gtid);
  // A domain is done with at its last number; what is gone will not come.
  const due = new Map(
    [...again.ends, ...skipped.ends]
      .filter((gtid) => !purged.covers(gtid))
      .map((gtid) => [gtid.domain, gtid.seq]),
  );
  return {
    start: due.size === 0 ? null : { domains: start, holes: true },
    gone,
    wanted: null,
    fateOf: (event) => {
      if (due.size === 0) return 'end';
      if (event.type === 'gtid') return null;
      const { gtid } = event;
      const last = due.get(gtid.domain);
      if (last !== undefined && gtid.seq >= last) due.delete(gtid.domain);
      if (again.contains(gtid)) return 'again';
      return skipped.contains(gtid) ? 'skipped' : null;
    },
  };
}

function planByGtid(
  { again, skipped }: Extract<MoveSets, { kind: 'mysql' }>,
  server: ServerPlace,
): Plan | null {
  if (server.gtids === null) return null;
  const { executed, purged } = server.gtids;
  const there = executed.subtract(purged);
  const [lackingAgain, lackingSkipped] = [again.subtract(there), skipped.subtract(there)];
  const wanted = again.union(skipped).subtract(lackingAgain).subtract(lackingSkipped);
  return {
    // All but those is called seen, so that the server sends nothing else of what it had.
    start: wanted.isEmpty ? null : { gtidSet: othersThan(wanted, server) },
    wanted,
    gone: { again: lackingAgain.size, skipped: lackingSkipped.size },
    fateOf: (event, counted) => {
      if (counted >= wanted.size) return 'end';
      const gtid = event.type === 'gtid' ? event.gtid : null;
      if (gtid === null || !wanted.contains(gtid)) return null;
      return again.contains(gtid) ? 'again' : 'skipped';
    },
  };
}

function planByPlace(now: Checkpoint, next: Checkpoint): Plan | null {
  if (now.serverUuid !== next.serverUuid) return null;
  const ahead = comparePlaces(now, next) < 0;
  const [from, to] = ahead ? [now, next] : [next, now];
  return {
    start: comparePlaces(from, to) === 0 ? null : { file: from.file, position: from.position },
    gone: { again: 0n, skipped: 0n },
    wanted: null,
    fateOf: (event) => (comparePlaces(event, to) >= 0 ? 'end' : ahead ? 'skipped' : 'again'),
  };
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
  #fate: Fate | null = null;
  #counted = 0n;
  /** Of MySQL: those that were counted. */
  readonly seen = new GtidSet();
  #bytes = 0;
  #stopped: string | null = null;

  constructor(plan: Plan, at: SurveyAccess) {
    this.#plan = plan;
    this.#at = at;
    const tally = (gone: bigint): Tally => ({
      gone,
      transactions: 0,
      rows: new Map(),
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
    else if (event.type === 'query') this.#query(event.sql);
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
    this.#held = heldBy(event);
    if (fate === null) return true;
    if (event.type === 'gtid' && event.gtid !== null) this.seen.add(event.gtid);
    this.#counted += 1n;
    this.#tallies[fate].transactions += 1;
    return true;
  }

  #query(sql: string): void {
    this.#at.types.statement(sql);
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
