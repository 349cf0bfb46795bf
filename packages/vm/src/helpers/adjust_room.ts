import type { Machine } from '../machine/machine.ts';
import { ETH_HLEN, type Packet, SKB_MAX_LEN } from '../machine/packet.ts';
import { EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP } from './errno.ts';
import type { Helper } from './helper.ts';
import { ETH_P_IP, ETH_P_IPV6 } from './skb_helpers.ts';

/** Flags of skb_adjust_room. Source: include/uapi/linux/bpf.h. */
const F = {
  FIXED_GSO: 0x01,
  ENCAP_L3_IPV4: 0x02,
  ENCAP_L3_IPV6: 0x04,
  ENCAP_L4_GRE: 0x08,
  ENCAP_L4_UDP: 0x10,
  NO_CSUM_RESET: 0x20,
  ENCAP_L2_ETH: 0x40,
  DECAP_L3_IPV4: 0x80,
  DECAP_L3_IPV6: 0x100,
} as const;
const ALL = 0x1ff;
const ENCAP = F.ENCAP_L3_IPV4 | F.ENCAP_L3_IPV6 | F.ENCAP_L4_GRE | F.ENCAP_L4_UDP | F.ENCAP_L2_ETH;
const DECAP_L3 = F.DECAP_L3_IPV4 | F.DECAP_L3_IPV6;
const MODE_NET = 0;
const MODE_MAC = 1;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const MAX_CHANGE = 0xfff;

/** Room between the headers of a packet at tc. Source: net/core/filter.c, bpf_skb_adjust_room. */
export const ADJUST_ROOM: Helper = {
  id: 50,
  name: 'skb_adjust_room',
  args: ['context', 'u32', 'u32', 'u64'],
  returns: 'int',
  run: (machine, _skb, difference, mode, flags, high) => adjustRoom(machine, difference! | 0, mode!, flags!, high!),
};

function adjustRoom({ packet }: Machine, difference: number, mode: number, flags: number, high: number): number {
  // The length of an inner layer 2 stands in the top 8 bits.
  const innerMac = high >>> 24;
  if (((flags & ~ALL) | (high & 0x00ff_ffff)) !== 0) return -EINVAL;
  const size = Math.abs(difference);
  if (size > MAX_CHANGE) return -EFAULT;
  const header = baseLength(packet);
  if (header === undefined) return -ENOTSUPP;
  if (mode !== MODE_NET && mode !== MODE_MAC) return -ENOTSUPP;
  const offset = packet.network - packet.data + (mode === MODE_NET ? header : 0);
  return difference < 0 ? shrink(packet, offset, size, flags, header) : grow(packet, offset, size, flags, innerMac);
}

const baseLength = ({ protocol }: Packet): number | undefined =>
  protocol === ETH_P_IP ? IPV4_HEADER : protocol === ETH_P_IPV6 ? IPV6_HEADER : undefined;

function shrink(packet: Packet, offset: number, size: number, flags: number, header: number): number {
  let shortest = header;
  if ((flags & DECAP_L3) === DECAP_L3) return -EINVAL;
  if ((flags & F.DECAP_L3_IPV4) !== 0) shortest = IPV4_HEADER;
  if ((flags & F.DECAP_L3_IPV6) !== 0) shortest = IPV6_HEADER;
  const left = packet.end - packet.network - size;
  if (left <= 0 || left < shortest) return -ENOTSUPP;
  if ((flags & ~(F.FIXED_GSO | DECAP_L3 | F.NO_CSUM_RESET)) !== 0) return -EINVAL;
  if (offset + size > packet.length) return -ENOMEM;
  packet.pop(offset, size);
  packet.network += size;
  if (packet.protocol === ETH_P_IP && (flags & F.DECAP_L3_IPV6) !== 0) packet.protocol = ETH_P_IPV6;
  else if (packet.protocol === ETH_P_IPV6 && (flags & F.DECAP_L3_IPV4) !== 0) packet.protocol = ETH_P_IP;
  return 0;
}

function grow(packet: Packet, offset: number, size: number, flags: number, innerMac: number): number {
  if ((flags & DECAP_L3) !== 0) return -EINVAL;
  if (packet.length + size > SKB_MAX_LEN) return -ENOTSUPP;
  if (size > packet.headroom) return -ENOMEM;
  const isEncap = (flags & ENCAP) !== 0;
  if (isEncap) {
    const both = (a: number, b: number): boolean => (flags & a) !== 0 && (flags & b) !== 0;
    if (both(F.ENCAP_L3_IPV4, F.ENCAP_L3_IPV6) || both(F.ENCAP_L4_GRE, F.ENCAP_L4_UDP)) return -EINVAL;
    if ((flags & F.ENCAP_L2_ETH) !== 0 && innerMac < ETH_HLEN) return -EINVAL;
    if (packet.isEncapsulated) return -EALREADY;
    if (innerMac > size) return -EINVAL;
  }
  packet.push(offset, size);
  packet.network -= size;
  if (isEncap) {
    packet.isEncapsulated = true;
    if (packet.protocol === ETH_P_IP && (flags & F.ENCAP_L3_IPV6) !== 0) packet.protocol = ETH_P_IPV6;
    else if (packet.protocol === ETH_P_IPV6 && (flags & F.ENCAP_L3_IPV4) !== 0) packet.protocol = ETH_P_IP;
  }
  return 0;
}
