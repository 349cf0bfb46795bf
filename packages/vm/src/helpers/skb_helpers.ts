import { type Address, copyBytes, type Memory } from '@ciliate/maps';
import type { Machine } from '../machine/machine.ts';
import { SKB, SKB_MAX_LEN } from '../machine/packet.ts';
import { EFAULT, EINVAL, ENOMEM, ENOTSUPP } from './errno.ts';
import type { Helper } from './helper.ts';

const RECOMPUTE_CSUM = 1;
const INVALIDATE_HASH = 2;
const PACKET_OTHERHOST = 3;
/** As a u32 of the context, which holds them in network order. */
export const ETH_P_IP = 0x0008;
export const ETH_P_IPV6 = 0xdd86;
const MAC_HEADER = 14;
/** What an IPv6 header is longer than one of IPv4. */
const HEADER_DIFFERENCE = 20;

/** Bytes and length of a packet at tc. Source: net/core/filter.c. */
export const SKB_HELPERS: readonly Helper[] = [
  {
    id: 9,
    name: 'skb_store_bytes',
    args: ['context', 'u32', 'memory', 'size', 'u64'],
    returns: 'int',
    run({ memory, packet }, skb, offset, from, size, flags, high) {
      if (((flags! & ~(RECOMPUTE_CSUM | INVALIDATE_HASH)) | high!) !== 0) return -EINVAL;
      if (offset! + size! > packet.length) return -EFAULT;
      moveBytes(memory, packet.data + offset!, from!, size!);
      if ((flags! & INVALIDATE_HASH) !== 0) memory.u32[(skb! + SKB.hash) >> 2] = 0;
      return 0;
    },
  },
  {
    id: 26,
    name: 'skb_load_bytes',
    args: ['context', 'u32', 'written', 'size'],
    returns: 'int',
    run({ memory, packet }, _skb, offset, to, size) {
      const isInside = offset! + size! <= packet.length;
      if (isInside) moveBytes(memory, to!, packet.data + offset!, size!);
      else memory.u8.fill(0, to, to! + size!);
      return isInside ? 0 : -EFAULT;
    },
  },
  {
    id: 31,
    name: 'skb_change_proto',
    args: ['context', 'u32', 'u64'],
    returns: 'int',
    run: (machine, _skb, protocol, flags, high) =>
      (flags! | high!) !== 0 ? -EINVAL : changeProtocol(machine, protocol! & 0xffff),
  },
  {
    id: 32,
    name: 'skb_change_type',
    args: ['context', 'u32'],
    returns: 'int',
    run({ memory }, skb, type) {
      const at = (skb! + SKB.pktType) >> 2;
      if (memory.u32[at]! > PACKET_OTHERHOST || type! > PACKET_OTHERHOST) return -EINVAL;
      memory.u32[at] = type!;
      return 0;
    },
  },
  {
    id: 38,
    name: 'skb_change_tail',
    args: ['context', 'u32', 'u64'],
    returns: 'int',
    run({ memory, packet }, _skb, length, flags, high) {
      const shortest = packet.network - packet.data;
      if ((flags! | high!) !== 0 || length! > SKB_MAX_LEN || length! < shortest) return -EINVAL;
      const end = packet.data + length!;
      if (end > packet.end) memory.u8.fill(0, packet.end, end);
      packet.end = end;
      packet.sync();
      return 0;
    },
  },
  {
    id: 39,
    name: 'skb_pull_data',
    args: ['context', 'u32'],
    returns: 'int',
    run: ({ packet }, _skb, length) => (length! <= packet.length ? 0 : -ENOMEM), // a packet lies in one piece
  },
  {
    id: 43,
    name: 'skb_change_head',
    args: ['context', 'u32', 'u64'],
    returns: 'int',
    run({ packet }, _skb, size, flags, high) {
      if ((flags! | high!) !== 0 || packet.length + size! > SKB_MAX_LEN) return -EINVAL;
      if (size! > packet.headroom) return -ENOMEM;
      packet.push(0, size!);
      return 0;
    },
  },
];

/** A program may copy within its packet. */
function moveBytes(memory: Memory, to: Address, from: Address, size: number): void {
  if (Math.abs(to - from) >= size) copyBytes(memory, to, from, size);
  else memory.u8.copyWithin(to, from, from + size);
}

/** IPv4 to IPv6 or back: the network header gets longer or shorter, its content is the program's affair. */
function changeProtocol({ memory, packet }: Machine, protocol: number): number {
  const from = packet.protocol;
  if (from === ETH_P_IP && protocol === ETH_P_IPV6) {
    if (HEADER_DIFFERENCE > packet.headroom) return -ENOMEM;
    packet.push(MAC_HEADER, HEADER_DIFFERENCE);
    packet.network -= HEADER_DIFFERENCE;
  } else if (from === ETH_P_IPV6 && protocol === ETH_P_IP) {
    if (packet.length < MAC_HEADER + HEADER_DIFFERENCE) return -ENOMEM;
    packet.pop(MAC_HEADER, HEADER_DIFFERENCE);
    packet.network += HEADER_DIFFERENCE;
  } else return -ENOTSUPP;
  packet.protocol = protocol;
  memory.u32[(packet.context + SKB.hash) >> 2] = 0;
  return 0;
}
