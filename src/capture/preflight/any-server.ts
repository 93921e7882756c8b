/** What a server of either kind says of its own place. */

import type { SourceConnection } from '../binlog/source-connection.ts';
import { type MariadbState, readMariadbState } from './mariadb/server-state.ts';
import { readServerPlace, readVersion, type ServerPlace } from './server-place.ts';

/** @throws RowcallError as `readServerPlace` and `readMariadbState` do */
export async function readAnyServer(source: SourceConnection): Promise<ServerPlace | MariadbState> {
  const { isMariaDb } = await readVersion(source);
  return isMariaDb ? readMariadbState(source) : readServerPlace(source);
}
