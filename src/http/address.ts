import { BlockList, isIP } from 'node:net';

/** Finds the address of the client behind proxies that are trusted to name it. */
export interface ClientAddress {
  /** Whether `address` is a proxy of ours. */
  trusts(address: string): boolean;
  /**
   * The client's address: the socket's, or, where the socket is a trusted proxy's, the rightmost address of
   * `X-Forwarded-For` that is not itself a trusted proxy. What a client wrote further left never counts.
   */
  of(socketAddress: string | undefined, forwardedFor: string | undefined): string;
}

/** `::ffff:192.0.2.1` is the IPv4 address 192.0.2.1 as a dual-stack socket shows it. */
function plain(address: string): string {
  if (address[0] !== ':') return address;
  const mapped = /^::[Ff]{4}:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  return mapped ?? address;
}

/** Loopback: a reverse proxy on the same machine. */
export const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1'];

/**
 * `trustedProxies` are addresses or networks (`10.0.0.0/8`). Throws `RangeError` for one that is neither.
 */
export function clientAddress(trustedProxies: readonly string[] = LOOPBACK): ClientAddress {
  const list = new BlockList();
  for (const entry of trustedProxies) {
    const [address = '', bits] = entry.split('/');
    // The list looks at addresses itself; for `isIP` a large expression would be compiled at each start.
    const type = address.includes(':') ? 'ipv6' : 'ipv4';
    try {
      if (bits === undefined) list.addAddress(address, type);
      else list.addSubnet(address, /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN, type);
    } catch (cause) {
      throw new RangeError(`not an address or network: ${entry}`, { cause });
    }
  }
  const trusts = (address: string): boolean => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
  return {
    trusts: (address) => trusts(plain(address)),
    of(socketAddress, forwardedFor) {
      let client = plain(socketAddress ?? '');
      if (forwardedFor === undefined || !(client === '' || trusts(client))) return client;
      for (const hop of forwardedFor.split(',').reverse()) {
        const address = plain(hop.trim());
        if (isIP(address) === 0) break;
        client = address;
        if (!trusts(address)) break;
      }
      return client;
    },
  };
}

/** What addresses are counted by: an IPv4 address, or the /64 of an IPv6 address, which one host can roam freely. */
export function addressBlock(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
