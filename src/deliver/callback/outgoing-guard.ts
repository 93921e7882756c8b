/** Keeps callbacks away from addresses that a stranger's URL must not reach (server-side request forgery). */

import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { RowcallError } from '../../errors.ts';

/** Resolves a name to all its addresses. Node's dns.lookup, or a test's. */
export type Resolve = (
  host: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const resolveAll: Resolve = (host, callback) => {
  dnsLookup(host, { all: true }, callback);
};

/** IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates). */
const BLOCKED = ((): BlockList => {
  const list = new BlockList();
  const v4 = [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/4',
    '240.0.0.0/4',
  ];
  // Within 2000::/3: protocol assignments and tunnels, documentation, 6to4, documentation again.
  const v6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];
  for (const [family, subnets] of [['ipv4', v4] as const, ['ipv6', v6] as const]) {
    for (const subnet of subnets) {
      const [net = '', prefix] = subnet.split('/');
      list.addSubnet(net, Number(prefix), family);
    }
  }
  return list;
})();

/**
 * The only IPv6 addresses that IANA has given out. Everything else is refused unlisted: unspecified, loopback, mapped,
 * compatible and translated (NAT64) IPv4, SRv6, unique local, link-local, multicast, and what is reserved today.
 */
const GLOBAL_UNICAST = new BlockList();
GLOBAL_UNICAST.addSubnet('2000::', 3, 'ipv6');

/** Whether an IP address, in any written form that Node's sockets print or take, may be called. */
export function isPublicAddress(address: string): boolean {
  const plain = unmapped(address.replace(/%.*$/, ''));
  const version = isIP(plain);
  if (version === 0) return false;
  if (version === 4) return !BLOCKED.check(plain, 'ipv4');
  return GLOBAL_UNICAST.check(plain, 'ipv6') && !BLOCKED.check(plain, 'ipv6');
}

/** `::ffff:1.2.3.4` and `::ffff:102:304` are IPv4 addresses. */
function unmapped(address: string): string {
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (dotted !== undefined) return dotted;
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const bits = Number.parseInt(high, 16) * 0x10000 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

export interface ConnectorOptions {
  /** Of connecting, the TLS handshake included; milliseconds, kept to within half a second. */
  readonly timeoutMs: number;
  /** Certificates to trust instead of Node's own, PEM. */
  readonly ca?: string;
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
  { timeoutMs, ca }: ConnectorOptions,
  lookup?: LookupFunction,
): buildConnector.connector {
  return buildConnector({
    timeout: timeoutMs,
    // Over HTTP/2 one connection would carry many attempts and end them together.
    allowH2: false,
    ...(ca === undefined ? {} : { ca }),
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
