import type { Address, Memory } from './memory.ts';

/**
 * Bytes in the memory: compare, copy, load. By 32-bit words where the address is a multiple of 4, which keys on a
 * `Scratch` and everything inside a map are; byte by byte where a caller's address is not. Nothing here allocates.
 */

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
    i = size & ~3;
    copyWords(m, to, from, i);
  }
  for (const bytes = m.u8; i < size; i++) bytes[to + i] = bytes[from + i]!;
}

/** Copies `size` bytes to a multiple of 4, where others may be reading: each whole word by one store. */
export function copyInPlace(m: Memory, to: Address, from: Address, size: number): void {
  const wordsEnd = size & ~3;
  if ((from & 3) === 0) copyWords(m, to, from, wordsEnd);
  else for (let i = 0; i < wordsEnd; i += 4) m.i32[(to + i) >> 2] = m.view.getInt32(from + i, true);
  for (let i = wordsEnd; i < size; i++) m.u8[to + i] = m.u8[from + i]!;
}

function copyWords(m: Memory, to: Address, from: Address, size: number): void {
  const words = m.i32;
  for (let i = 0; i < size; i += 4) words[(to + i) >> 2] = words[(from + i) >> 2]!;
}

/** A u32 as the memory holds it, wherever it lies. */
export function loadU32(m: Memory, at: Address): number {
  return (at & 3) === 0 ? m.u32[at >> 2]! : m.view.getUint32(at, true);
}

export const round8 = (n: number): number => (n + 7) & ~7;
