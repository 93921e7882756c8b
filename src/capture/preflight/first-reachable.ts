/** The server to ask where any one of them will do: the most preferred that answers. */

import { RowcallError } from '../../errors.ts';
import { SourceConnection } from '../binlog/source-connection.ts';
import type { SourceServer } from '../binlog/source-server.ts';

export interface ReachedServer {
  readonly server: SourceServer;
  readonly source: SourceConnection;
}

/**
 * @param servers best first; at least one
 * @returns a connection, which the caller closes
 * @throws RowcallError SOURCE_UNREACHABLE of the last one; at once what else a connection throws: a password that is
 *   refused is no reason to ask somebody else.
 */
export async function firstReachable(
  servers: readonly SourceServer[],
  signal: AbortSignal,
): Promise<ReachedServer> {
  const [server, ...others] = servers;
  if (server === undefined) throw new Error('No server to ask');
  try {
    return { server, source: await SourceConnection.open(server.connection, signal) };
  } catch (error) {
    const away = error instanceof RowcallError && error.code === 'SOURCE_UNREACHABLE';
    if (!away || others.length === 0) throw error;
    return firstReachable(others, signal);
  }
}
