import { BlockList, isIP, SocketAddress } from 'node:net';

/** `a.b.c.d/n` or an IPv6 network; the text of what is wrong with it, or undefined. */
export function cidrProblem(cidr: string): string | undefined {
  const [network = '', bits = '', ...rest] = cidr.split('/');
  const family = isIP(network);
  const most = family === 4 ? 32 : 128;
  // A zone (fe80::1%eth0) is an address for isIP and none for the lists that it will be compared with.
  const isNetwork = family !== 0 && !network.includes('%');
  const valid = isNetwork && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
  return valid ? undefined : 'must be a network such as 10.0.0.0/8 or fd00::/8';
}

/** By the array itself: a credential that is used often is compared with the same networks each time. */
const lists = new WeakMap<readonly string[], BlockList>();

/** Whether networks, or their absence, admit an IP address. */
export function isWithin(cidrs: readonly string[], address: string): boolean {
  if (cidrs.length === 0) return true;
  let networks = lists.get(cidrs);
  if (networks === undefined) {
    networks = new BlockList();
    for (const cidr of cidrs) {
      const [network = '', bits] = cidr.split('/');
      networks.addSubnet(network, Number(bits), isIP(network) === 4 ? 'ipv4' : 'ipv6');
    }
    lists.set(cidrs, networks);
  }
  return networks.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/**
 * An IP address in its one spelling (RFC 5952), so that no two texts of it count as two callers: without zone, and
 * IPv4 where it is mapped into IPv6 (RFC 4291, 2.5.5.2). Undefined for what is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  const [bare = ''] = text.split('%', 1);
  const family = isIP(bare);
  if (family === 0) return undefined;
  if (family === 4) return bare;
  const { address } = new SocketAddress({ address: bare, family: 'ipv6' });
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : '';
  return isIP(mapped) === 4 ? mapped : address;
}

/**
 * What addresses are counted by: an IPv4 address, or the /64 of an IPv6 address, all of which one machine may have.
 *
 * @param address in its canonical spelling.
 */
export function originOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const first = groupsOf(head);
  const last = groupsOf(tail ?? '');
  const gap = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return `${[...first, ...gap, ...last].slice(0, 4).join(':')}::/64`;
}

/** An address in dotted form at the end stands for two groups, which are never among the first four. */
function groupsOf(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? ['', ''] : [group]));
}

/**
 * Where a request comes from: the peer, or, when that is one of our proxies, the last address in `X-Forwarded-For`
 * that is not. Everything left of that one is only what the caller says of itself. A header that has something else
 * than an address there is ignored.
 *
 * @param peer in its canonical spelling.
 * @param proxies networks of proxies; none when empty.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  proxies: readonly string[],
): string {
  if (forwardedFor === undefined || proxies.length === 0 || !isWithin(proxies, peer)) return peer;
  let address = peer;
  for (const hop of forwardedFor.split(',').toReversed()) {
    const before = canonicalAddress(hop.trim());
    if (before === undefined) return peer;
    address = before;
    if (!isWithin(proxies, address)) break;
  }
  return address;
}
