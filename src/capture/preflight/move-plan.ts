/** Which transactions lie between two places, and which fate each has. */

import { isMariadbServer } from '../../executed-gtids.ts';
import { GtidSet } from '../../gtid-set.ts';
import { MariadbPosition } from '../../mariadb-gtid.ts';
import { type Checkpoint, comparePlaces } from '../../position.ts';
import { present } from '../../shared/assert.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import type { DumpStart } from '../binlog/dump-request.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import { othersThan } from './gtid-start.ts';
import { commonPosition, MariadbBetween } from './mariadb/between.ts';
import type { MariadbState } from './mariadb/server-state.ts';
import type { ServerPlace } from './server-place.ts';

export type AnyGtidEvent = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;

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

export interface Plan {
  /** Null where nothing lies between, or the server has nothing of it. */
  readonly start: DumpStart | null;
  readonly gone: Readonly<Record<Fate, bigint>>;
  /** Of MySQL by GTID: what the server has of it, each of which must come. Null elsewhere. */
  readonly wanted: GtidSet | null;
  /** Whether the transaction lies between; `end`: nothing behind it does. */
  readonly fateOf: (event: AnyGtidEvent, counted: bigint) => Fate | 'end' | null;
}

export function planBySets(sets: MoveSets, server: ServerPlace | MariadbState): Plan | null {
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

export function planByPlace(now: Checkpoint, next: Checkpoint): Plan | null {
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

/**
 * Where numbers and places of before mean nothing on the server: all that it has, from its oldest file on, is either
 * left out by the new place or comes from there on.
 */
export function planApart(next: Checkpoint, server: ServerPlace | MariadbState): Plan {
  const { name } = present(server.files[0], 'the oldest binlog file');
  const isPassed = passedBy(next);
  return {
    start: { file: name, position: FIRST_POSITION },
    gone: { again: 0n, skipped: purgedSize(server) },
    wanted: null,
    fateOf: (event) => (isPassed(event) ? 'skipped' : 'again'),
  };
}

function passedBy(next: Checkpoint): (event: AnyGtidEvent) => boolean {
  if (next.gtidSet === null) return (event) => comparePlaces(event, next) < 0;
  if (isMariadbServer(next.serverUuid)) {
    const position = MariadbPosition.parse(next.gtidSet);
    return (event) => event.type !== 'gtid' && position.covers(event.gtid);
  }
  const set = GtidSet.parse(next.gtidSet);
  return (event) => event.type === 'gtid' && event.gtid !== null && set.contains(event.gtid);
}

/** Of MariaDB a position is all that is told. */
function purgedSize(server: ServerPlace | MariadbState): bigint {
  return 'gtids' in server ? (server.gtids?.purged.size ?? 0n) : 0n;
}
