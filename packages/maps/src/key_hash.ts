import type { Address, Memory } from './memory.ts';

/**
 * Hash of a key, wherever it lies; a signed 32-bit number. Each word is mixed in by a multiplication with an odd number
 * and a shift; the end is that of MurmurHash3. `HashTable.find` has the same lines once more, for aligned keys, because a
 * lookup spends half of its time in them.
 */
export function keyHash(m: Memory, key: Address, size: number): number {
  const end = key + size;
  let at = key;
  let h = 0;
  for (; end - at > 4; at += 4) {
    h = Math.imul(h ^ m.view.getInt32(at, true), 0x9e37_79b1);
    h ^= h >>> 15;
  }
  let tail = 0;
  for (let i = end - 1; i >= at; i--) tail = (tail << 8) | m.u8[i]!;
  h = Math.imul(h ^ tail, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return h ^ (h >>> 16);
}
