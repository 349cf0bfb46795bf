import type { Address, Memory } from '@ciliate/maps';

/**
 * One's complement sums as the kernel keeps them: 32 bits, in the byte order of memory. Source: include/net/checksum.h,
 * lib/checksum.c.
 */
export const csumAdd = (a: number, b: number): number => {
  const sum = (a >>> 0) + (b >>> 0);
  return sum > 0xffff_ffff ? sum - 0xffff_ffff : sum; // end-around carry
};
export const csumSub = (a: number, b: number): number => csumAdd(a, ~b >>> 0);

/** 32 bits to 16, not inverted. */
export function csumFrom32To16(sum: number): number {
  const folded = (sum & 0xffff) + (sum >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

export const csumFold = (sum: number): number => ~csumFrom32To16(sum) & 0xffff;

/** Adds `size` bytes to a sum; an odd last byte counts as the low half of a word. */
export function csumPartial(memory: Memory, at: Address, size: number, seed: number): number {
  let sum = 0;
  let i = 0;
  for (; i + 1 < size; i += 2) sum += memory.view.getUint16(at + i, true);
  if (i < size) sum += memory.u8[at + i]!;
  return csumAdd(sum, seed); // of less than 128 KiB: 32 bits suffice
}

const csum16Add = (a: number, b: number): number => {
  const sum = a + b;
  return (sum + (sum > 0xffff ? 1 : 0)) & 0xffff;
};

/** The checksum field at `at` after the 16 bits `from` became `to` in what it covers. */
export function replaceChecksum16(memory: Memory, at: Address, from: number, to: number): void {
  const sum = ~memory.view.getUint16(at, true) & 0xffff;
  memory.view.setUint16(at, ~csum16Add(csum16Add(sum, ~from & 0xffff), to & 0xffff) & 0xffff, true);
}

/** The same for 32 bits. */
export function replaceChecksum(memory: Memory, at: Address, from: number, to: number): void {
  const sum = ~memory.view.getUint16(at, true) & 0xffff;
  memory.view.setUint16(at, csumFold(csumAdd(csumSub(0xffff_0000 | sum, from), to)), true);
}
