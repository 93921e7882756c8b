/** Whether the servers of source.urls are one replication topology, so that we can go from one to another. */

import type { Finding } from './check-source.ts';
import type { ServerPlace, Upstream } from './server-place.ts';

/** What one of them says of itself. */
export interface NamedServer {
  readonly name: string;
  readonly place: ServerPlace;
  readonly upstream: Upstream;
}

/** Nothing for a single server. */
export function compareServers(servers: readonly NamedServer[]): Finding[] {
  if (servers.length < 2) return [];
  const findings = servers.flatMap(withoutGtids);
  servers.forEach((one, index) => {
    for (const other of servers.slice(0, index)) {
      findings.push(...twice(other, one), ...apart(other, one), ...apart(one, other));
    }
  });
  return findings;
}

function withoutGtids({ name, place }: NamedServer): Finding[] {
  if (place.gtids !== null) return [];
  return [
    {
      check: `gtid_mode of ${name}`,
      value: 'not ON',
      want: 'ON on every server of source.urls',
      why: 'Only a GTID names the same transaction on every server: without them there is no failover.',
      sql: 'SET PERSIST gtid_mode = ON; -- by way of OFF_PERMISSIVE and ON_PERMISSIVE',
      severity: 'error',
    },
  ];
}

function twice(first: NamedServer, second: NamedServer): Finding[] {
  if (first.place.uuid !== second.place.uuid) return [];
  return [
    {
      check: 'source.urls',
      value: `${first.name} and ${second.name} with one server_uuid, ${first.place.uuid}`,
      want: 'servers of their own',
      why: 'They are one server, or a copy whose auto.cnf was copied too; neither is a way out when it fails.',
      sql: '-- remove one of the two; or stop the copy, remove its auto.cnf, and start it',
      severity: 'warning',
    },
  ];
}

/** What `one` has and `other` will not get of itself. Lag is not among it: a replica follows its source. */
function apart(one: NamedServer, other: NamedServer): Finding[] {
  const { uuids, group } = other.upstream;
  if (one.place.gtids === null || other.place.gtids === null || uuids.includes(one.place.uuid)) {
    return [];
  }
  const lacked = one.place.gtids.executed.subtract(other.place.gtids.executed);
  const follows = group || uuids.length > 0;
  // A replica gets what it lacks, unless that was written beside its source. Nobody lacks what is its own: the two
  // were not asked at the same moment.
  const errant = follows ? lacked.of(one.place.uuid) : lacked.subtract(lacked.of(other.place.uuid));
  if (errant.isEmpty) return [];
  return [
    {
      check: `transactions of ${other.name}`,
      value: `without ${errant.toString()}, which ${one.name} has`,
      want: 'all that the other servers of source.urls have',
      why: follows
        ? `Those were written on ${one.name} itself, which ${other.name} does not replicate: errant transactions.`
        : `${other.name} replicates from nobody, so they never get there: it is a former source, or another topology.`,
      sql: `-- let ${other.name} replicate again, or make it anew from a backup; or remove it from source.urls`,
      severity: 'warning',
    },
  ];
}
