import type { Address, Memory } from './memory.ts';

/**
 * Bytes in the memory: hash, compare, copy. By 32-bit words where the address is a multiple of 4, which keys on a
 * `Scratch` and everything inside a map are; byte by byte where a caller's address is not. Nothing here allocates.
 */

/** MurmurHash3_x86_32 of the bytes, seed 0; a signed 32-bit number. */
export function hash32(m: Memory, at: Address, size: number): number {
  let h = 0;
  const wordsEnd = at + (size & ~3);
  let p = at;
  if ((at & 3) === 0) for (const words = m.i32; p < wordsEnd; p += 4) h = mix(h, words[p >> 2]!);
  else for (; p < wordsEnd; p += 4) h = mix(h, m.view.getInt32(p, true));
  let tail = 0;
  for (let i = (size & 3) - 1; i >= 0; i--) tail = (tail << 8) | m.u8[wordsEnd + i]!;
  h = h ^ scramble(tail) ^ size;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

function scramble(word: number): number {
  const k = Math.imul(word, 0xcc9e_2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
}

function mix(h: number, word: number): number {
  const x = h ^ scramble(word);
  return (Math.imul((x << 13) | (x >>> 19), 5) + 0xe654_6b64) | 0;
}

/** Whether `size` bytes at `a` (a multiple of 4) equal those at `b`. */
export function equalBytes(m: Memory, a: Address, b: Address, size: number): boolean {
  let i = 0;
  if ((b & 3) === 0) {
    const words = m.i32;
    for (const end = size & ~3; i < end; i += 4) if (words[(a + i) >> 2] !== words[(b + i) >> 2]) return false;
  }
  for (const bytes = m.u8; i < size; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** Beyond this many bytes, the engine's own copy is faster than the loop. */
const LOOP_MAX = 256;

/** Copies `size` bytes from `from` to `to`; they must not overlap. */
export function copyBytes(m: Memory, to: Address, from: Address, size: number): void {
  if (size > LOOP_MAX) {
    m.u8.copyWithin(to, from, from + size);
    return;
  }
  let i = 0;
  if (((to | from) & 3) === 0) {
    const words = m.i32;
    for (const end = size & ~3; i < end; i += 4) words[(to + i) >> 2] = words[(from + i) >> 2]!;
  }
  for (const bytes = m.u8; i < size; i++) bytes[to + i] = bytes[from + i]!;
}

/** A u32 as the memory holds it, wherever it lies. */
export function loadU32(m: Memory, at: Address): number {
  return (at & 3) === 0 ? m.u32[at >> 2]! : m.view.getUint32(at, true);
}

export const round8 = (n: number): number => (n + 7) & ~7;
