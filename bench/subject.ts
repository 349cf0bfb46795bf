import { QUESTION } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';
import { checksum } from './checksum.ts';
import type { Asked } from './loop.ts';
import { round } from './stats.ts';
import { BLOCK } from './types.ts';

/** One thing that is timed: an engine in one mode, or a program in C or in the kernel. */
export interface Subject {
  readonly name: string;
  readonly mode: 'single' | 'batch' | 'loop';
  /** The release whose rule it follows. */
  readonly profile: string;
  /** The subject whose time is the harness's share of this one's; '' for such a subject, which answers nothing. */
  readonly harness: string;
  /** Times `blocks` blocks from question `from` on. @returns ns of each, valid until the next call */
  time(from: number, blocks: number): Promise<Float64Array>;
  /** Of what was timed, the share that was answered by a kept answer; null = it keeps none. */
  hitRatio(): number | null;
  /** Checksum of the answers to the first `count` questions, a multiple of BLOCK. */
  check(count: number): Promise<number>;
}

export interface Ground {
  memory: Memory;
  questions: Address;
  /** Room for an answer to each question. */
  answers: Address;
}

const MAX_BLOCKS = 8192;

/** An engine, or what stands beside it, in this process. */
export async function localSubject(
  name: string,
  profile: string,
  mode: 'single' | 'batch',
  asked: Asked & { hits?: number },
  ground: Ground,
): Promise<Subject> {
  const loop = (await import(`./loop.ts?${name}-${mode}`)) as typeof import('./loop.ts');
  const { memory, questions, answers } = ground;
  const ns = new Float64Array(MAX_BLOCKS);
  let timedQuestions = 0;
  let timedHits = 0;
  const timed = mode === 'single' ? loop.single : loop.batch;
  return {
    name,
    mode,
    profile,
    harness: name === 'empty' ? '' : `empty ${mode}`,
    async time(from, blocks) {
      const before = asked.hits ?? 0;
      timed(asked, questions + from * QUESTION.size, answers, blocks, ns);
      timedHits += (asked.hits ?? 0) - before;
      timedQuestions += blocks * BLOCK;
      return ns.subarray(0, blocks);
    },
    hitRatio: () => (asked.hits === undefined ? null : round(timedHits / timedQuestions, 4)),
    async check(count) {
      loop.answerAll(asked, mode, questions, answers, count);
      return checksum(memory, answers, count);
    },
  };
}
