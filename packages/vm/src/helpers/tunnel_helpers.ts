import type { TunnelInfo } from '../machine/packet.ts';
import { EINVAL, ENOENT, ENOMEM, EPROTO } from './errno.ts';
import type { Helper } from './helper.ts';

/** `struct bpf_tunnel_key`, and the shorter forms that older programs pass. */
const KEY = { size: 44, remote: 4, ext: 22, label: 24, local: 28 } as const;
const SIZES: readonly number[] = [8, KEY.ext, KEY.label, KEY.local, KEY.size];
const TUNINFO_IPV6 = 0x01;
/** Of set: ZERO_CSUM_TX, DONT_FRAGMENT, SEQ_NUMBER, NO_TUNNEL_KEY beside TUNINFO_IPV6. Of get: TUNINFO_FLAGS. */
const SET_FLAGS = 0x1f;
const GET_FLAGS = TUNINFO_IPV6 | 0x10;
const MAX_OPTIONS = 255;
const ADDRESS = 16;

/** What a packet carries for the tunnel device that it will reach. Source: net/core/filter.c. */
export const TUNNEL_HELPERS: readonly Helper[] = [
  {
    id: 20,
    name: 'skb_get_tunnel_key',
    args: ['context', 'written', 'size', 'u64'],
    returns: 'int',
    run({ memory, packet }, _skb, to, size, flags, high) {
      const { tunnel } = packet;
      const isIpv6 = (flags! & TUNINFO_IPV6) !== 0;
      memory.u8.fill(0, to, to! + size!);
      if (tunnel === undefined || ((flags! & ~GET_FLAGS) | high!) !== 0 || !SIZES.includes(size!)) return -EINVAL;
      if (tunnel.isIpv6 !== isIpv6) return -EPROTO;
      memory.u8.set(asReceived(tunnel).subarray(0, size), to);
      return 0;
    },
  },
  {
    id: 21,
    name: 'skb_set_tunnel_key',
    args: ['context', 'memory', 'size', 'u64'],
    returns: 'int',
    run({ memory, packet }, _skb, from, size, flags, high) {
      if (((flags! & ~SET_FLAGS) | high!) !== 0 || !SIZES.includes(size!)) return -EINVAL;
      const key = new Uint8Array(KEY.size);
      key.set(memory.u8.subarray(from, from! + size!));
      const isIpv6 = (flags! & TUNINFO_IPV6) !== 0;
      const view = new DataView(key.buffer);
      if ((!isIpv6 && view.getUint32(KEY.label, true) !== 0) || view.getUint16(KEY.ext, true) !== 0) return -EINVAL;
      packet.tunnel = { key, isIpv6, options: new Uint8Array(0) };
      return 0;
    },
  },
  {
    id: 29,
    name: 'skb_get_tunnel_opt',
    args: ['context', 'written', 'size'],
    returns: 'int',
    run({ memory, packet }, _skb, to, size) {
      const options = packet.tunnel?.options;
      memory.u8.fill(0, to, to! + size!);
      if (options === undefined || options.length === 0) return -ENOENT;
      if (size! < options.length) return -ENOMEM;
      memory.u8.set(options, to);
      return options.length;
    },
  },
  {
    id: 30,
    name: 'skb_set_tunnel_opt',
    args: ['context', 'memory', 'size'],
    returns: 'int',
    run({ memory, packet }, _skb, from, size) {
      if (packet.tunnel === undefined || size! % 4 !== 0) return -EINVAL;
      if (size! > MAX_OPTIONS) return -ENOMEM;
      packet.tunnel.options = memory.u8.slice(from, from! + size!);
      return 0;
    },
  },
];

/** What was set as the sender's end is read as the receiver's: remote and local change places. */
function asReceived({ key, isIpv6 }: TunnelInfo): Uint8Array {
  const swapped = key.slice();
  const bytes = isIpv6 ? ADDRESS : 4;
  swapped.set(key.subarray(KEY.local, KEY.local + bytes), KEY.remote);
  swapped.set(key.subarray(KEY.remote, KEY.remote + bytes), KEY.local);
  return swapped;
}
