import { BlockList, isIP } from 'node:net';
import type { MayConnect } from '#remote/http.js';

/** IANA's registry of special-purpose IPv4 addresses, and multicast: nothing there is a public host. */
const SPECIAL_IPV4 = [
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
  '224.0.0.0/3',
];
/** Of IPv6 only this is given out to hosts; ways of writing IPv4 addresses and private ones all lie outside. */
const GLOBAL_IPV6 = ['2000::/3'];
/** Parts of it that are no hosts, or lead to IPv4 addresses by a detour: Teredo and others, documentation, 6to4. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    // These are addresses; `isIP` would compile a large expression at each start.
    const six = address.includes(':');
    list.addSubnet(address, bits === undefined ? (six ? 128 : 32) : Number(bits), six ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** The lists above, made when the first address is asked about: a start asks about none. */
let lists: Readonly<Record<'specialIpv4' | 'globalIpv6' | 'specialIpv6', BlockList>> | undefined;

function isPublic(address: string): boolean {
  lists ??= {
    specialIpv4: listOf(SPECIAL_IPV4),
    globalIpv6: listOf(GLOBAL_IPV6),
    specialIpv6: listOf(SPECIAL_IPV6),
  };
  if (isIP(address) === 4) return !lists.specialIpv4.check(address, 'ipv4');
  return lists.globalIpv6.check(address, 'ipv6') && !lists.specialIpv6.check(address, 'ipv6');
}

/** The IPv4 address inside an IPv4-mapped IPv6 address, in whichever way that is written. */
function mappedIpv4(address: string): string | undefined {
  const host = new URL(`http://[${address}]/`).hostname;
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(host) ?? [];
  if (high === undefined || low === undefined) return undefined;
  const bits = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return bits.flatMap((part) => [part >> 8, part & 0xff]).join('.');
}

/** Allows these addresses and networks (such as `10.0.0.0/8`), and nothing else. */
export function onlyAddresses(networks: readonly string[]): MayConnect {
  const allowed = listOf(networks);
  return (given) => {
    // A zone makes an address of a link of this machine.
    if (isIP(given) === 0 || given.includes('%')) return false;
    const address = isIP(given) === 6 ? (mappedIpv4(given) ?? given) : given;
    return allowed.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  };
}

/** Allows public addresses, and those of the `exceptions` (addresses or networks). */
export function publicAddresses(exceptions: readonly string[] = []): MayConnect {
  const isException = onlyAddresses(exceptions);
  return (given) => {
    if (isException(given)) return true;
    if (isIP(given) === 0 || given.includes('%')) return false;
    return isPublic(isIP(given) === 6 ? (mappedIpv4(given) ?? given) : given);
  };
}
