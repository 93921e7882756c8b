/** Which addresses are of the open internet, and which lead into somebody's own network or machine. */

import { BlockList, isIP } from 'node:net';

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

/**
 * Whether the host of a URL can only be an address that is not public: written as one, or a name of this machine
 * (RFC 6761). Any other name is public or not by what it resolves to.
 */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  if (isIP(host) !== 0) return !isPublicAddress(host);
  return /^(?:.*\.)?localhost$/i.test(host);
}
