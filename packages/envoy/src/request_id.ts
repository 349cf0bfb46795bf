/**
 * The x-request-id of a connection's n-th request, as a version 4 UUID. A function of the seed and the place alone, so
 * that a run gives the same ids however its connections interleave.
 */
export function requestId(seed: number, connectionId: number, request: number): string {
  const state = mix(mix(mix(seed) ^ connectionId) ^ request);
  const a = mix(state + STEP);
  const b = mix(state + 2 * STEP);
  const c = mix(state + 3 * STEP);
  const d = mix(state + 4 * STEP);
  writeHex(0, a, 8);
  writeHex(9, b >>> 16, 4);
  writeHex(14, VERSION | ((b >>> 4) & 0xfff), 4);
  writeHex(19, VARIANT | ((c >>> 16) & 0x3fff), 4);
  writeHex(24, c, 4);
  writeHex(28, d, 8);
  return TEXT.toString('latin1');
}

const STEP = 0x9e3779b9;
const VERSION = 0x4000;
const VARIANT = 0x8000;
/** Written anew for each id: several times faster than to put strings together. */
const TEXT = Buffer.alloc(36, '-');
const DIGITS = Buffer.from('0123456789abcdef');

/** The last so many digits of a word. */
function writeHex(at: number, word: number, digits: number): void {
  let left = word;
  for (let place = at + digits - 1; place >= at; place--) {
    TEXT[place] = DIGITS[left & 15]!;
    left >>>= 4;
  }
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
