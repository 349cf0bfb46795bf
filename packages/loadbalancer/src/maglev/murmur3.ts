const MASK = 0xffff_ffff_ffff_ffffn;
const C1 = 0x87c3_7b91_1142_53d5n;
const C2 = 0x4cf5_ad43_2745_937fn;

/**
 * MurmurHash3, x64, 128 bits; both halves begin with the seed. Source: Austin Appleby's MurmurHash3; pkg/murmur3.
 * @returns the two halves, unsigned 64 bits each
 */
export function murmur3(bytes: Uint8Array, seed: number): [h1: bigint, h2: bigint] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [h1, h2] = [BigInt(seed), BigInt(seed)];
  const blocks = bytes.length & ~15;
  for (let at = 0; at < blocks; at += 16) {
    h1 = (rotate(h1 ^ mix1(view.getBigUint64(at, true)), 27n) + h2) & MASK;
    h1 = (h1 * 5n + 0x52dc_e729n) & MASK;
    h2 = (rotate(h2 ^ mix2(view.getBigUint64(at + 8, true)), 31n) + h1) & MASK;
    h2 = (h2 * 5n + 0x3849_5ab5n) & MASK;
  }
  const [low, high] = [word(bytes, blocks), word(bytes, blocks + 8)];
  if (bytes.length > blocks + 8) h2 ^= mix2(high);
  if (bytes.length > blocks) h1 ^= mix1(low);
  const length = BigInt(bytes.length);
  h1 = ((h1 ^ length) + (h2 ^ length)) & MASK;
  h2 = ((h2 ^ length) + h1) & MASK;
  h1 = finish(h1);
  h2 = finish(h2);
  h1 = (h1 + h2) & MASK;
  return [h1, (h2 + h1) & MASK];
}

/** Up to eight bytes from `from` on, little endian; missing ones are 0. */
function word(bytes: Uint8Array, from: number): bigint {
  let value = 0n;
  for (let at = Math.min(bytes.length, from + 8) - 1; at >= from; at--) value = (value << 8n) | BigInt(bytes[at]!);
  return value;
}

const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;
const mix1 = (k: bigint): bigint => (rotate((k * C1) & MASK, 31n) * C2) & MASK;
const mix2 = (k: bigint): bigint => (rotate((k * C2) & MASK, 33n) * C1) & MASK;

function finish(value: bigint): bigint {
  let k = value ^ (value >> 33n);
  k = (k * 0xff51_afd7_ed55_8ccdn) & MASK;
  k ^= k >> 33n;
  k = (k * 0xc4ce_b9fe_1a85_ec53n) & MASK;
  return k ^ (k >> 33n);
}
