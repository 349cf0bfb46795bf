/**
 * The x-request-id of a connection's n-th request, as a version 4 UUID. A function of the seed and the place alone, so
 * that a run gives the same ids however its connections interleave.
 */
export function requestId(seed: number, connectionId: number, request: number): string {
  let state = mix(mix(mix(seed) ^ connectionId) ^ request);
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    return mix(state);
  };
  const [a, b, c, d] = [next(), next(), next(), next()];
  const variant = 0x8 | ((c >>> 28) & 3);
  return `${hex4(a >>> 16)}${hex4(a)}-${hex4(b >>> 16)}-${hex4(0x4000 | ((b >>> 4) & 0xfff))}-${hex4((variant << 12) | ((c >>> 16) & 0xfff))}-${hex4(c)}${hex4(d >>> 16)}${hex4(d)}`;
}

const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const hex4 = (word: number): string => BYTES[(word >>> 8) & 255]! + BYTES[word & 255]!;

/** A number below 2^32 for the n-th wait of a connection; as with ids, a function of the seed and the place alone. */
export const jitter = (seed: number, connectionId: number, n: number): number =>
  mix(mix(mix(~seed) ^ connectionId) ^ n);

/** MurmurHash3's finalizer: every bit of the word depends on every other. */
function mix(word: number): number {
  let h = word >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
