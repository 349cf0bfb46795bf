import { SKB } from '../machine/packet.ts';
import { EINVAL } from './errno.ts';
import type { Helper } from './helper.ts';

const F_INGRESS = 1;
const TC_ACT_SHOT = 2;
const TC_ACT_REDIRECT = 7;
const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;
/** `struct bpf_redir_neigh` and `struct bpf_fib_lookup`. */
const NEIGH_BYTES = 20;
const FIB_BYTES = 64;
const FIB_NOT_FWDED = 4;
/** What a program's own device is in a test run: the loopback. */
const LOOPBACK = 1;

/** Where packets go. There are no other devices, routes or sockets in a test run, and nothing is sent. */
export const REDIRECT_HELPERS: readonly Helper[] = [
  {
    id: 13,
    name: 'clone_redirect',
    args: ['context', 'u32', 'u64'],
    returns: 'int',
    run: (_machine, _skb, ifindex, flags, high) =>
      ((flags! & ~F_INGRESS) | high!) !== 0 || ifindex !== LOOPBACK ? -EINVAL : 0,
  },
  {
    id: 23,
    name: 'redirect',
    args: ['u32', 'u64'],
    returns: 'int',
    run({ packet }, _ifindex, flags, high) {
      if (packet.kind === 'xdp') return (flags! | high!) !== 0 ? XDP_ABORTED : XDP_REDIRECT;
      return ((flags! & ~F_INGRESS) | high!) !== 0 ? TC_ACT_SHOT : TC_ACT_REDIRECT;
    },
  },
  {
    id: 152,
    name: 'redirect_neigh',
    args: ['u32', 'memory?', 'size', 'u64'],
    returns: 'int',
    run: (_machine, _ifindex, _neigh, size, flags, high) =>
      (size! > 0 && size! < NEIGH_BYTES) || (flags! | high!) !== 0 ? TC_ACT_SHOT : TC_ACT_REDIRECT,
  },
  {
    id: 155,
    name: 'redirect_peer',
    args: ['u32', 'u64'],
    returns: 'int',
    run: (_machine, _ifindex, flags, high) => ((flags! | high!) !== 0 ? TC_ACT_SHOT : TC_ACT_REDIRECT),
  },
  {
    id: 69,
    name: 'fib_lookup',
    args: ['context', 'written', 'size', 'u32'],
    returns: 'int',
    run: (_machine, _context, _params, size) => (size! < FIB_BYTES ? -EINVAL : FIB_NOT_FWDED),
  },
  {
    id: 34,
    name: 'get_hash_recalc',
    args: ['context'],
    returns: 'u32',
    run({ memory, packet }, skb) {
      const at = (skb! + SKB.hash) >> 2;
      // The kernel's hash is keyed with a random number; only that equal flows are equal is promised.
      if (memory.u32[at] === 0) memory.u32[at] = flowHash(memory.u8.subarray(packet.network, packet.end));
      return memory.u32[at]!;
    },
  },
];

/** FNV-1a over addresses and ports, where IPv4 and IPv6 have them; never 0. */
function flowHash(header: Uint8Array): number {
  const isIpv4 = header[0]! >> 4 === 4;
  const ports = isIpv4 ? (header[0]! & 15) * 4 : 40;
  const parts = [header.subarray(isIpv4 ? 12 : 8, isIpv4 ? 20 : 40), header.subarray(ports, ports + 4)];
  let hash = 0x811c_9dc5;
  for (const part of parts) for (const byte of part) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return hash >>> 0 || 1;
}
