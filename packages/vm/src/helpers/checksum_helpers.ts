import type { Machine } from '../machine/machine.ts';
import {
  csumAdd,
  csumFold,
  csumFrom32To16,
  csumPartial,
  csumSub,
  replaceChecksum,
  replaceChecksum16,
} from './checksum.ts';
import { EFAULT, EINVAL } from './errno.ts';
import type { Helper } from './helper.ts';

const FIELD_SIZE = 0x0f;
const PSEUDO_HDR = 0x10;
const MARK_MANGLED_0 = 0x20;
const MARK_ENFORCE = 0x40;
const IPV6 = 0x80;
const MANGLED_0 = 0xffff;

/** Checksums in packets. Source: net/core/filter.c. */
export const CHECKSUM_HELPERS: readonly Helper[] = [
  {
    id: 10,
    name: 'l3_csum_replace',
    args: ['context', 'u32', 'u32', 'u32', 'u64'],
    returns: 'int',
    run: (machine, _skb, offset, from, to, flags, high) =>
      ((flags! & ~FIELD_SIZE) | high!) !== 0 ? -EINVAL : replace(machine, offset!, from!, to!, flags! & FIELD_SIZE),
  },
  {
    id: 11,
    name: 'l4_csum_replace',
    args: ['context', 'u32', 'u32', 'u32', 'u64'],
    returns: 'int',
    run(machine, _skb, offset, from, to, flags, high) {
      const known = FIELD_SIZE | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6;
      if (((flags! & ~known) | high!) !== 0) return -EINVAL;
      if (!isField(machine, offset!)) return -EFAULT;
      const { view } = machine.memory;
      const at = machine.packet.data + offset!;
      const keeps0 = (flags! & MARK_MANGLED_0) !== 0;
      // No checksum at all, as UDP over IPv4 may have: it stays so.
      if (keeps0 && (flags! & MARK_ENFORCE) === 0 && view.getUint16(at) === 0) return 0;
      const size = flags! & FIELD_SIZE;
      // Unlike in l3_csum_replace, two bytes are replaced as four.
      const result = replace(machine, offset!, from!, to!, size === 2 ? 4 : size);
      if (result === 0 && keeps0 && view.getUint16(at) === 0) view.setUint16(at, MANGLED_0);
      return result;
    },
  },
  {
    id: 28,
    name: 'csum_diff',
    args: ['memory?', 'size', 'memory?', 'size', 'u32'],
    returns: 'int',
    run({ memory }, from, fromSize, to, toSize, seed) {
      if (((fromSize! | toSize!) & 3) !== 0) return -EINVAL;
      let sum = seed!;
      if (fromSize! > 0 && toSize! > 0) {
        sum = csumSub(csumPartial(memory, to!, toSize!, sum), csumPartial(memory, from!, fromSize!, 0));
      } else if (toSize! > 0) sum = csumPartial(memory, to!, toSize!, sum);
      else if (fromSize! > 0) sum = ~csumPartial(memory, from!, fromSize!, ~sum >>> 0) >>> 0;
      return csumFrom32To16(sum);
    },
  },
];

const isField = ({ packet }: Machine, offset: number): boolean =>
  offset <= 0xffff && offset % 2 === 0 && offset + 2 <= packet.length;

/** @param size of what changed, bytes; 0: `to` is a difference that csum_diff answered */
function replace(machine: Machine, offset: number, from: number, to: number, size: number): number {
  if (!isField(machine, offset)) return -EFAULT;
  const { memory, packet } = machine;
  const at = packet.data + offset;
  if (size === 2) replaceChecksum16(memory, at, from, to);
  else if (size === 4) replaceChecksum(memory, at, from, to);
  else if (size === 0 && from === 0) {
    memory.view.setUint16(at, csumFold(csumAdd(to, ~memory.view.getUint16(at, true) >>> 0)), true);
  } else return -EINVAL;
  return 0;
}
