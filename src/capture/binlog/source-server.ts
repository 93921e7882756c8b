/** One of the servers that the source's events can be read from. */

import type { ConnectionOptions } from 'mysql2';

export interface SourceServer {
  /** `host:port`, or the socket's path: how messages name it. */
  readonly name: string;
  readonly connection: ConnectionOptions;
}
