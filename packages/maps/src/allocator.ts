import { MapError } from './errors.ts';
import { lockWord, unlockWord } from './locks.ts';

/**
 * The heap of a `Memory`: first fit from an address-ordered list of free blocks, neighbours merged; past its end,
 * memory never used yet (which is zero, and costs nothing until touched), into which the last free block may grow. Not
 * on any hot path.
 *
 * A free block is [size u32, next u32]. The state lies in the memory's first page, guarded by a lock word, so that
 * any thread may allocate.
 */
export const HEAP = { lock: 16, top: 20, used: 24, limit: 28, free: 32 } as const;

const round8 = (n: number): number => (n + 7) & ~7;

/** A heap from `start` (8-aligned) to `limit`. */
export function initHeap(words: Int32Array, start: number, limit: number): void {
  words[HEAP.top >> 2] = start;
  words[HEAP.limit >> 2] = limit;
}

/** @returns address of `sizeBytes` zero bytes, on a multiple of 8. @throws MapError ENOMEM, EINVAL */
export function allocate(words: Int32Array, bytes: Uint8Array, sizeBytes: number): number {
  if (!Number.isInteger(sizeBytes) || sizeBytes <= 0) throw new MapError('EINVAL', 'alloc: bad size', { sizeBytes });
  lock(words);
  try {
    const limit = words[HEAP.limit >> 2]!;
    const used = words[HEAP.used >> 2]!;
    const size = sizeBytes <= limit ? round8(sizeBytes) : sizeBytes;
    const at = takeFree(words, bytes, size) || takeFresh(words, size);
    if (at === 0) {
      throw new MapError('ENOMEM', `memory is full: ${sizeBytes} bytes asked, ${used} of ${limit} in use`, {
        asked: sizeBytes,
        used,
        limit,
      });
    }
    words[HEAP.used >> 2] = used + size;
    return at;
  } finally {
    unlock(words);
  }
}

/** Gives back what `allocate` returned for the same size. @throws MapError EINVAL if it cannot have been allocated */
export function release(words: Int32Array, at: number, sizeBytes: number): void {
  lock(words);
  try {
    const size = round8(sizeBytes);
    let before = 0; // the free block in front of `at`
    let after = words[HEAP.free >> 2]!;
    while (after !== 0 && after < at) {
      before = after;
      after = words[(after >> 2) + 1]!;
    }
    const beforeEnd = before === 0 ? 0 : before + words[before >> 2]!;
    const isOurs = at % 8 === 0 && at > 0 && size > 0 && at + size <= words[HEAP.top >> 2]!;
    if (!isOurs || at < beforeEnd || (after !== 0 && at + size > after)) {
      throw new MapError('EINVAL', 'free: not an allocated block', { at, sizeBytes });
    }
    words[HEAP.used >> 2] = words[HEAP.used >> 2]! - size;
    const mergesAfter = after !== 0 && at + size === after;
    const end = mergesAfter ? after + words[after >> 2]! : at + size;
    const next = mergesAfter ? words[(after >> 2) + 1]! : after;
    if (before !== 0 && beforeEnd === at) {
      words[before >> 2] = end - before;
      words[(before >> 2) + 1] = next;
      return;
    }
    words[at >> 2] = end - at;
    words[(at >> 2) + 1] = next;
    words[before === 0 ? HEAP.free >> 2 : (before >> 2) + 1] = at;
  } finally {
    unlock(words);
  }
}

function takeFree(words: Int32Array, bytes: Uint8Array, size: number): number {
  let link = HEAP.free >> 2; // index of the word that holds the address of `at`
  for (let at = words[link]!; at !== 0; at = words[link]!) {
    const has = words[at >> 2]!;
    const next = words[(at >> 2) + 1]!;
    if (has >= size) {
      if (has === size) words[link] = next;
      else {
        const rest = at + size;
        words[rest >> 2] = has - size;
        words[(rest >> 2) + 1] = next;
        words[link] = rest;
      }
      bytes.fill(0, at, at + size);
      return at;
    }
    if (at + has === words[HEAP.top >> 2]! && size <= words[HEAP.limit >> 2]! - at) {
      words[link] = next;
      bytes.fill(0, at, at + has);
      words[HEAP.top >> 2] = at + size;
      return at;
    }
    link = (at >> 2) + 1;
  }
  return 0;
}

function takeFresh(words: Int32Array, size: number): number {
  const at = words[HEAP.top >> 2]!;
  if (size > words[HEAP.limit >> 2]! - at) return 0;
  words[HEAP.top >> 2] = at + size;
  return at;
}

export const lock = (words: Int32Array): void => lockWord(words, HEAP.lock);
export const unlock = (words: Int32Array): void => unlockWord(words, HEAP.lock);
