const MASK = 0xffff_ffff_ffff_ffffn;
const C1 = 0x87c3_7b91_1142_53d5n;
const C2 = 0x4cf5_ad43_2745_937fn;

const rotl = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;
const times = (a: bigint, b: bigint): bigint => (a * b) & MASK;
const mix1 = (k: bigint): bigint => times(rotl(times(k, C1), 31n), C2);
const mix2 = (k: bigint): bigint => times(rotl(times(k, C2), 33n), C1);

/**
 * MurmurHash3 for 64-bit machines, 128 bits, as Cilium's pkg/murmur3 has it: both halves start from the same seed, and
 * words are read little-endian.
 * @param seed 32 bits
 * @returns the two 64-bit halves
 */
export function murmur3(bytes: Uint8Array, seed: number): [h1: bigint, h2: bigint] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = BigInt(bytes.length);
  const whole = bytes.length & ~15;
  let h1 = BigInt(seed >>> 0);
  let h2 = h1;
  for (let at = 0; at < whole; at += 16) {
    h1 = rotl(h1 ^ mix1(view.getBigUint64(at, true)), 27n);
    h1 = (times(h1 + h2, 5n) + 0x52dc_e729n) & MASK;
    h2 = rotl(h2 ^ mix2(view.getBigUint64(at + 8, true)), 31n);
    h2 = (times(h2 + h1, 5n) + 0x3849_5ab5n) & MASK;
  }
  h2 ^= mix2(tail(bytes, whole + 8, bytes.length));
  h1 ^= mix1(tail(bytes, whole, Math.min(whole + 8, bytes.length)));
  h1 ^= length;
  h2 ^= length;
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  h1 = finish(h1);
  h2 = finish(h2);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  return [h1, h2];
}

/** Up to 8 bytes as a little-endian word; none are 0. */
function tail(bytes: Uint8Array, from: number, to: number): bigint {
  let word = 0n;
  for (let at = to - 1; at >= from; at--) word = (word << 8n) | BigInt(bytes[at]!);
  return word;
}

function finish(k: bigint): bigint {
  let h = times(k ^ (k >> 33n), 0xff51_afd7_ed55_8ccdn);
  h = times(h ^ (h >> 33n), 0xc4ce_b9fe_1a85_ec53n);
  return h ^ (h >> 33n);
}
