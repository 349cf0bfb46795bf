/**
 * The x-request-id of a connection's n-th request, as a version 4 UUID. A function of the seed and the place alone, so
 * that a run gives the same ids however its connections interleave.
 */
export function requestId(seed: number, connectionId: number, request: number): string {
  let state = mix(mix(mix(seed) ^ connectionId) ^ request);
  const words = Array.from({ length: 4 }, () => {
    state = (state + 0x9e3779b9) >>> 0;
    return mix(state).toString(16).padStart(8, '0');
  });
  const hex = words.join('');
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

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
