/** What makes `tls.mode: verify-identity` hold for a server that is named by its IP address. */

import { connect, isIP } from 'node:net';
import type { ConnectionOptions } from 'mysql2';

const KEEP_ALIVE_DELAY_MS = 0;

/**
 * Node compares a certificate with the name that the socket was made for, which it keeps of a name and not of an
 * address; mysql2 names none beside it. What is left is `localhost`: the right certificate would be refused, and one for
 * `localhost` believed, whoever shows it. So the socket is told its address.
 *
 * @returns options for mysql2, none where the server has a name
 */
export function addressToVerify(
  host: string,
  port: number,
  { verifyIdentity }: { readonly verifyIdentity?: boolean },
): Pick<ConnectionOptions, 'stream'> {
  if (verifyIdentity !== true || isIP(host) === 0) return {};
  return {
    stream: () => {
      const socket = connect(port, host);
      Reflect.set(socket, '_host', host);
      return socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS).setNoDelay(true);
    },
  };
}
