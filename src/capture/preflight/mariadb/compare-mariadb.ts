/** Whether the MariaDB servers of source.urls are one replication topology, so that we can go from one to another. */

import type { SourceConnection } from '../../binlog/source-connection.ts';
import { type Finding, permitted } from '../check-source.ts';
import { formatLacked, lackedBy, type LackedRange } from './lacked.ts';
import { type MariadbState, readMariadbState } from './server-state.ts';

/** What one of them says of itself. */
export interface NamedMariadb {
  readonly name: string;
  readonly state: MariadbState;
  readonly serverId: number;
  /** server_id of the servers that it replicates from; null where the account may not see it. */
  readonly follows: readonly number[] | null;
}

/** @throws RowcallError what a query throws */
export async function readNamedMariadb(
  name: string,
  source: SourceConnection,
): Promise<NamedMariadb> {
  const state = await readMariadbState(source);
  const serverId = Number(await source.value('SELECT @@GLOBAL.server_id'));
  const rows = await permitted(source, 'SHOW ALL SLAVES STATUS');
  const follows = rows?.map((row) => Number(row['Master_Server_Id'])) ?? null;
  return { name, state, serverId, follows };
}

/** Nothing for a single server. */
export function compareMariadb(servers: readonly NamedMariadb[]): Finding[] {
  return servers.flatMap((one, index) =>
    servers
      .slice(0, index)
      .flatMap((other) => [...twice(other, one), ...apart(other, one), ...apart(one, other)]),
  );
}

function twice(first: NamedMariadb, second: NamedMariadb): Finding[] {
  if (first.serverId !== second.serverId) return [];
  return [
    {
      check: 'source.urls',
      value: `${first.name} and ${second.name} with one server_id, ${first.serverId}`,
      want: 'servers of their own',
      why: 'They are one server, which is no way out when it fails; or two that give the same GTIDs to different transactions.',
      sql: '-- remove one of the two; or give the other its own: SET GLOBAL server_id, and in my.cnf',
      severity: 'warning',
    },
  ];
}

/** What `one` has and `other` will not get of itself. Lag is not among it: a replica follows its source. */
function apart(one: NamedMariadb, other: NamedMariadb): Finding[] {
  const { follows } = other;
  if (follows === null || follows.includes(one.serverId)) return [];
  const isReplica = follows.length > 0;
  // As on MySQL: a replica gets what it lacks, unless it was written beside its source; nobody lacks what is its own.
  const isErrant = ({ upTo }: LackedRange): boolean =>
    isReplica ? upTo.server === one.serverId : upTo.server !== other.serverId;
  const errant = lackedBy(one.state.last, other.state.last).filter(isErrant);
  if (errant.length === 0) return [];
  return [
    {
      check: `transactions of ${other.name}`,
      value: `without ${formatLacked(errant)}, which ${one.name} has`,
      want: 'all that the other servers of source.urls have',
      why: isReplica
        ? `Those were written on ${one.name} itself, which ${other.name} does not replicate: errant transactions.`
        : `${other.name} replicates from nobody, so they never get there: it is a former source, or another topology.`,
      sql: `-- let ${other.name} replicate again, or make it anew from a backup; or remove it from source.urls`,
      severity: 'warning',
    },
  ];
}
