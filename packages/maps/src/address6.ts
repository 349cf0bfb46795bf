import type { Address, Memory } from './memory.ts';

// IPv6 addresses as bigints of 128 bits, and as 16 bytes in the order of the wire, as maps hold them. For the control plane.

export const address6 = (m: Memory, at: Address): bigint =>
  (m.view.getBigUint64(at) << 64n) | m.view.getBigUint64(at + 8);

export function setAddress6(m: Memory, at: Address, ip: bigint): void {
  m.view.setBigUint64(at, ip >> 64n);
  m.view.setBigUint64(at + 8, ip & 0xffff_ffff_ffff_ffffn);
}
