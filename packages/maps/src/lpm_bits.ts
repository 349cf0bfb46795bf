import type { Address, Memory } from './memory.ts';

/**
 * How many of the first `limit` bits at `a` (a multiple of 4) and at `b` agree, from the most significant bit of the
 * first byte. By words where `b` is a multiple of 4; may look at bytes up to the next multiple of 4 behind the limit.
 */
export function longestPrefixMatch(m: Memory, a: Address, b: Address, limit: number): number {
  if ((b & 3) !== 0) return matchBytes(m, a, b, limit);
  const words = m.i32;
  for (let bits = 0; bits < limit; bits += 32) {
    const differ = words[(a + (bits >> 3)) >> 2]! ^ words[(b + (bits >> 3)) >> 2]!;
    if (differ === 0) continue;
    const matched = bits + Math.clz32(swap(differ));
    return Math.min(matched, limit);
  }
  return limit;
}

function matchBytes(m: Memory, a: Address, b: Address, limit: number): number {
  for (let bits = 0; bits < limit; bits += 8) {
    const differ = m.u8[a + (bits >> 3)]! ^ m.u8[b + (bits >> 3)]!;
    if (differ === 0) continue;
    const matched = bits + Math.clz32(differ) - 24;
    return Math.min(matched, limit);
  }
  return limit;
}

/** Bytes in the other order: words are little-endian, keys are compared from their first byte on. */
const swap = (x: number): number => (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);

/** Bit `index` of the bytes at `at`, counted from the most significant bit of the first byte. */
export const bitAt = (m: Memory, at: Address, index: number): number =>
  (m.u8[at + (index >> 3)]! >>> (7 - (index & 7))) & 1;
