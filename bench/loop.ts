import { ANSWER, QUESTION } from '@ciliate/bpf';
import type { Address } from '@ciliate/maps';
import { BLOCK } from './types.ts';

/*
 * The timed loops. Each subject imports this file under a name of its own (`./loop.ts?lpm-trie`), so that each has its
 * own compiled copy: one loop for all engines would call through a slow path that no user of one engine takes.
 */

/** The part of an engine that is timed. */
export interface Asked {
  lookup(question: Address, answer: Address): number;
  lookupBatch(questions: Address, answers: Address, count: number): void;
}

/** One call a question. `ns[b]` becomes the time of block b. @returns the sum of what came back */
export function single(asked: Asked, questions: Address, answer: Address, blocks: number, ns: Float64Array): number {
  let sum = 0;
  for (let b = 0; b < blocks; b++) {
    const from = questions + b * BLOCK * QUESTION.size;
    const begin = performance.now();
    for (let i = 0; i < BLOCK; i++) sum = (sum + asked.lookup(from + i * QUESTION.size, answer)) | 0;
    ns[b] = (performance.now() - begin) * 1e6;
  }
  return sum;
}

/** One call a block. `answers` has room for BLOCK answers. */
export function batch(asked: Asked, questions: Address, answers: Address, blocks: number, ns: Float64Array): number {
  for (let b = 0; b < blocks; b++) {
    const begin = performance.now();
    asked.lookupBatch(questions + b * BLOCK * QUESTION.size, answers, BLOCK);
    ns[b] = (performance.now() - begin) * 1e6;
  }
  return 0;
}

/** Answers all of `count` questions, a multiple of BLOCK, side by side at `answers`. */
export function answerAll(
  asked: Asked,
  mode: 'single' | 'batch',
  from: Address,
  answers: Address,
  count: number,
): void {
  if (mode === 'batch') {
    for (let n = 0; n < count; n += BLOCK)
      asked.lookupBatch(from + n * QUESTION.size, answers + n * ANSWER.size, BLOCK);
  } else {
    for (let n = 0; n < count; n++) asked.lookup(from + n * QUESTION.size, answers + n * ANSWER.size);
  }
}
