import type { Address } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import type { Family } from './family.ts';

/**
 * Stands for get_prandom_u32: a number that only seed and flow decide, so that it is the same whoever asks.
 * @param tuple addresses and ports of the flow
 * @param draw  0 for the first number of a flow, 1 for the next
 */
export function flowRandom(dp: Datapath, fam: Family, tuple: Address, draw: number): number {
  const words = dp.memory.u32;
  const end = tuple + fam.tupleDport + 4;
  let hash = dp.seed + draw;
  for (let at = tuple; at < end; at += 4) hash = mix(hash, words[at >> 2]!);
  return hash;
}

/** One round of the MurmurHash3 finaliser over both words: spreads neighbours, no tables, no allocation. */
function mix(hash: number, word: number): number {
  let h = (hash ^ word) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
