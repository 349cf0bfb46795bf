/** Unsigned 16 bits in network order. Reading past the end gives zeros, never an exception: the caller checks lengths. */
export const be16 = (u8: Uint8Array, at: number): number => (u8[at]! << 8) | u8[at + 1]!;

/** Unsigned 32 bits in network order. */
export const be32 = (u8: Uint8Array, at: number): number =>
  ((u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!) >>> 0;

export function setBe16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 8; // a Uint8Array keeps the low 8 bits
  u8[at + 1] = value;
}

export function setBe32(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 24;
  u8[at + 1] = value >>> 16;
  u8[at + 2] = value >>> 8;
  u8[at + 3] = value;
}
