import { ETH_HLEN } from '../machine/packet.ts';
import { EACCES, EINVAL } from './errno.ts';
import type { Helper } from './helper.ts';

const MAX_META = 252;

/** Bytes and length of a packet at XDP. Source: net/core/filter.c. */
export const XDP_HELPERS: readonly Helper[] = [
  {
    id: 44,
    name: 'xdp_adjust_head',
    args: ['context', 'u32'],
    returns: 'int',
    run({ memory, packet }, _xdp, offset) {
      const by = offset! | 0;
      if (-by > packet.headroom || packet.data + by > packet.end - ETH_HLEN) return -EINVAL;
      memory.u8.copyWithin(packet.meta + by, packet.meta, packet.data);
      packet.meta += by;
      packet.data += by;
      packet.sync();
      return 0;
    },
  },
  {
    id: 54,
    name: 'xdp_adjust_meta',
    args: ['context', 'u32'],
    returns: 'int',
    run({ packet }, _xdp, offset) {
      const by = offset! | 0;
      const meta = packet.meta + by;
      if (-by > packet.headroom || meta > packet.data) return -EINVAL;
      const size = packet.data - meta;
      if (size % 4 !== 0 || size > MAX_META) return -EACCES;
      packet.meta = meta;
      packet.sync();
      return 0;
    },
  },
  {
    id: 65,
    name: 'xdp_adjust_tail',
    args: ['context', 'u32'],
    returns: 'int',
    run({ memory, packet }, _xdp, offset) {
      const by = offset! | 0;
      if (by > packet.tailroom || packet.length + by < ETH_HLEN) return -EINVAL;
      if (by > 0) memory.u8.fill(0, packet.end, packet.end + by);
      packet.end += by;
      packet.sync();
      return 0;
    },
  },
  {
    id: 188,
    name: 'xdp_get_buff_len',
    args: ['context'],
    returns: 'u32',
    run: ({ packet }) => packet.length,
  },
  {
    id: 189,
    name: 'xdp_load_bytes',
    args: ['context', 'u32', 'written', 'size'],
    returns: 'int',
    run({ memory, packet }, _xdp, offset, to, size) {
      if (offset! + size! > packet.length) return -EINVAL;
      memory.u8.copyWithin(to!, packet.data + offset!, packet.data + offset! + size!);
      return 0;
    },
  },
  {
    id: 190,
    name: 'xdp_store_bytes',
    args: ['context', 'u32', 'memory', 'size'],
    returns: 'int',
    run({ memory, packet }, _xdp, offset, from, size) {
      if (offset! + size! > packet.length) return -EINVAL;
      memory.u8.copyWithin(packet.data + offset!, from!, from! + size!);
      return 0;
    },
  },
];
