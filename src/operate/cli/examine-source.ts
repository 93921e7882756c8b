/** What doctor finds of the source: each of its servers, and all of them together. */

import { replicaUuidOf } from '../../capture/binlog/replica-identity.ts';
import { SourceConnection } from '../../capture/binlog/source-connection.ts';
import type { SourceServer } from '../../capture/binlog/source-server.ts';
import { checkSource, type Finding } from '../../capture/preflight/check-source.ts';
import { leastRights } from '../../capture/preflight/checks/rights.ts';
import { checkSurroundings } from '../../capture/preflight/surroundings.ts';
import { compareServers, type NamedServer } from '../../capture/preflight/compare-servers.ts';
import {
  compareMariadb,
  type NamedMariadb,
  readNamedMariadb,
} from '../../capture/preflight/mariadb/compare-mariadb.ts';
import {
  readServerPlace,
  readUpstream,
  readVersion,
} from '../../capture/preflight/server-place.ts';
import type { Config } from '../../config/schema.ts';
import { toRowcallError } from '../../errors.ts';
import { sourceServers } from '../../source-connection.ts';
import { surroundingsWishes } from '../../source-watch.ts';

/**
 * Each server is looked at, whatever the others have: one that cannot be reached today is no way out tomorrow.
 *
 * @throws RowcallError SOURCE_TLS: a certificate file cannot be read; INTERNAL
 */
export async function examineSource(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const servers = await sourceServers(config.source);
  const several = servers.length > 1;
  const answered: Answered = { mysql: [], mariadb: [] };
  const findings: Finding[] = [];
  for (const server of servers) {
    const own = await examineServer(config, server, answered, signal);
    findings.push(
      ...own.map((finding) =>
        several ? { ...finding, check: `${server.name}: ${finding.check}` } : finding,
      ),
    );
  }
  const { mysql, mariadb } = answered;
  return [...findings, ...compareServers(mysql), ...compareMariadb(mariadb)];
}

/** What the servers that answered say of themselves. */
interface Answered {
  readonly mysql: NamedServer[];
  readonly mariadb: NamedMariadb[];
}

/** The server says the same of a wrong password and of an account that is not there. */
function accessCure(cure: string): string {
  return `${leastRights("'rowcall'@'%'")} -- where the account is yet to be made; else correct name and password in source (url, or user and password). ${cure}`;
}

async function examineServer(
  config: Config,
  { name, connection }: SourceServer,
  answered: Answered,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const source = await SourceConnection.open(connection, signal);
    try {
      const { serverId, minimumRetentionMs, requireFullImage } = config.source;
      const replicaUuid = replicaUuidOf(config.name, serverId);
      const wished = { serverId, minimumRetentionMs, requireFullImage };
      const tableGlobs = config.tables.flatMap(({ match }) => match);
      const wishes = { ...wished, replicaUuid, tableGlobs, cutOff: false };
      const findings = [...(await checkSource(source, wishes))];
      findings.push(...(await checkSurroundings(source, surroundingsWishes(config))));
      const { isMariaDb } = await readVersion(source);
      if (config.source.servers.length < 2) return findings;
      if (isMariaDb) answered.mariadb.push(await readNamedMariadb(name, source));
      else {
        const place = await readServerPlace(source);
        answered.mysql.push({ name, place, upstream: await readUpstream(source) });
      }
      return findings;
    } finally {
      await source.close();
    }
  } catch (error) {
    const failure = toRowcallError(error);
    if (failure.code === 'INTERNAL') throw failure;
    return [
      {
        check: failure.place ?? 'source',
        value: failure.code,
        want: 'usable',
        why: failure.message,
        sql: failure.code === 'SOURCE_ACCESS_DENIED' ? accessCure(failure.cure) : failure.cure,
        severity: 'error',
      },
    ];
  }
}
