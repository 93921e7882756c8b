/** Keeps callbacks away from addresses that a stranger's URL must not reach (server-side request forgery). */

import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { RowcallError } from '../../errors.ts';
import { isPublicAddress } from '../../shared/public-address.ts';

/** Resolves a name to all its addresses. Node's dns.lookup, or a test's. */
export type Resolve = (
  host: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const resolveAll: Resolve = (host, callback) => {
  dnsLookup(host, { all: true }, callback);
};

/** PEM texts. */
export interface TlsIdentity {
  /** Certificates to trust instead of Node's own. */
  readonly ca?: string;
  /** Our own certificate and its key, for endpoints that ask for one. */
  readonly cert?: string;
  readonly key?: string;
}

export interface ConnectorOptions {
  /** Of connecting, the TLS handshake included; milliseconds, kept to within half a second. */
  readonly timeoutMs: number;
  readonly tls?: TlsIdentity;
  /** For tests: how names are resolved, and how a socket is connected. */
  readonly resolve?: Resolve;
  readonly connect?: buildConnector.connector;
}

/** A connector without the guard, for targets that the configuration says are ours. HTTP/1.1 only, as the guarded one. */
export function plainConnector(options: ConnectorOptions): buildConnector.connector {
  return connectorOf(options);
}

/**
 * A connector for undici that takes https only, and refuses addresses which are not public, three times: the URL's
 * own host when it is an address (undici asks no lookup then), every answer of the lookup, and the address that the
 * socket is really connected to. The lookup's answer is the one used, so a name that changes in between gains nothing.
 * Errors have the code TARGET_REFUSED.
 */
export function guardedConnector(options: ConnectorOptions): buildConnector.connector {
  const connect =
    options.connect ?? connectorOf(options, guardedLookup(options.resolve ?? resolveAll));
  return (target, callback) => {
    const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
    if (target.protocol !== 'https:') {
      callback(new RowcallError('TARGET_REFUSED', `${host} is to be called without https`), null);
      return;
    }
    if (isIP(host) !== 0 && !isPublicAddress(host)) {
      callback(refused(host), null);
      return;
    }
    connect(target, (error, socket) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const { remoteAddress } = socket;
      if (remoteAddress === undefined || !isPublicAddress(remoteAddress)) {
        socket.destroy();
        callback(refused(remoteAddress ?? host), null);
        return;
      }
      callback(null, socket);
    });
  };
}

function connectorOf(
  { timeoutMs, tls }: ConnectorOptions,
  lookup?: LookupFunction,
): buildConnector.connector {
  return buildConnector({
    timeout: timeoutMs,
    // Over HTTP/2 one connection would carry many attempts and end them together.
    allowH2: false,
    ...tls,
    ...(lookup === undefined ? {} : { lookup }),
  });
}

function guardedLookup(resolve: Resolve): LookupFunction {
  return (host, options, callback) => {
    resolve(host, (error, addresses) => {
      if (error !== null) {
        callback(error, '', 0);
        return;
      }
      const allowed = addresses.filter(({ address }) => isPublicAddress(address));
      const [first] = allowed;
      if (first === undefined) callback(refused(host), '', 0);
      else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function refused(target: string): RowcallError {
  return new RowcallError('TARGET_REFUSED', `${target} is not a public address`);
}
