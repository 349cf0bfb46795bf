import type { Address } from './memory.ts';

/** A lock word: free, held, or held with somebody waiting (then, and only then, letting go must wake one up). */
const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/** Takes the lock at `at`; waits for it. Not reentrant. Any thread. */
export function lockWord(words: Int32Array, at: Address): void {
  const index = at >> 2;
  if (Atomics.compareExchange(words, index, FREE, HELD) === FREE) return;
  while (Atomics.exchange(words, index, CONTENDED) !== FREE) Atomics.wait(words, index, CONTENDED);
}

export function unlockWord(words: Int32Array, at: Address): void {
  if (Atomics.exchange(words, at >> 2, FREE) === CONTENDED) Atomics.notify(words, at >> 2, 1);
}
