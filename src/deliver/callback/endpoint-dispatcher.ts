/** The connections to one endpoint: straight to it, or through a proxy. */

import { isIP } from 'node:net';
import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import { RowcallError } from '../../errors.ts';
import { isPrivateHost } from '../../shared/public-address.ts';
import {
  guardedConnector,
  plainConnector,
  type Resolve,
  type TlsIdentity,
} from './outgoing-guard.ts';

/** Shorter than what servers commonly wait without saying so (5 s), so that we close first. */
const KEEP_ALIVE_MS = 4_000;

export interface EndpointOptions {
  readonly url: URL;
  readonly sockets: number;
  /** Of connecting, milliseconds. */
  readonly timeoutMs: number;
  readonly allowPrivateNetwork: boolean;
  readonly tls?: TlsIdentity;
  readonly proxy?: ProxyOptions;
  /** For tests of the outgoing guard. */
  readonly resolve?: Resolve;
}

export interface ProxyOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly url: string;
  /** What it wants in `proxy-authorization`. */
  readonly authorization?: string;
}

/** @throws RowcallError TARGET_REFUSED, through a proxy only: without one the connector says so at each attempt */
export function endpointDispatcher(options: EndpointOptions): Dispatcher {
  const { url, proxy } = options;
  const common = {
    connections: options.sockets,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The attempt's own timer is the only one: these two see parts of an exchange.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
  if (proxy !== undefined) return proxied(options, proxy, common);
  const { timeoutMs, tls, resolve } = options;
  const connector = {
    timeoutMs,
    ...(tls === undefined ? {} : { tls }),
    ...(resolve === undefined ? {} : { resolve }),
  };
  return new Pool(url.origin, {
    ...common,
    connect: options.allowPrivateNetwork ? plainConnector(connector) : guardedConnector(connector),
  });
}

/**
 * The proxy itself is the operator's, and may be private. It resolves names and makes the connections, so that of the
 * target only what stands in the URL can be refused here: an address, this machine's names, plain http. That a
 * name leads to a private address is for the proxy to refuse.
 */
function proxied(
  { url, timeoutMs, allowPrivateNetwork, tls }: EndpointOptions,
  proxy: ProxyOptions,
  common: Omit<ProxyAgent.Options, 'uri'>,
): Dispatcher {
  if (!allowPrivateNetwork && (url.protocol !== 'https:' || isPrivateHost(url.hostname))) {
    throw new RowcallError('TARGET_REFUSED', `${url.host} may not be called through the proxy`);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return new ProxyAgent({
    ...common,
    uri: proxy.url,
    ...(proxy.authorization === undefined ? {} : { token: proxy.authorization }),
    // Tunnels of several attempts over one connection would end together.
    allowH2: false,
    // Not the proxy's name, and none for an address (RFC 6066, 3).
    requestTls: { ...tls, timeout: timeoutMs, servername: isIP(host) === 0 ? host : '' },
    proxyTls: { timeout: timeoutMs },
    // Else a proxy that takes a CONNECT and never answers it would hold its socket for minutes.
    clientFactory: (origin, given) => new Pool(origin, { ...given, headersTimeout: timeoutMs }),
  });
}
