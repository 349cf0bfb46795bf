/**
 * One worker of the scaling question: opens the shared memory, takes its engine, and answers questions for as long as each
 * message says. Messages: in `{ ms }`, out `{ verdicts, ms }`; the first one out says that it is ready.
 */
import { parentPort, workerData } from 'node:worker_threads';
import {
  ANSWER,
  type EngineEntry,
  engineByName,
  type PolicyReader,
  PolicyVerdict,
  policyCanAccess,
  QUESTION,
} from '@ciliate/bpf';
import { type Address, LpmTrie, Memory, Scratch } from '@ciliate/maps';
import { batch } from './loop.ts';
import { BLOCK } from './types.ts';

export interface ScalingJob {
  memory: Memory['wasm'];
  engine: string;
  /** Where the one is that all workers share; undefined: each worker builds the engine for itself. */
  shared: Address | undefined;
  entries: readonly EngineEntry[];
  questions: number;
  count: number;
  /** Where in the questions this worker begins. */
  from: number;
}

const CALL_BLOCKS = 64;
const job = workerData as ScalingJob;
const memory = Memory.attach(job.memory);
/** Cache lines come in pairs; two workers' answers in one pair would be moved to and fro. */
const LINES = 128;
const answers = Math.ceil(memory.alloc(BLOCK * ANSWER.size + 2 * LINES) / LINES) * LINES;
const ns = new Float64Array(CALL_BLOCKS);

/** The datapath's own verdict on a trie that another thread made. */
function sharedTrie(address: Address): PolicyReader {
  const trie = LpmTrie.attach(memory, address);
  const key = Scratch.create(memory, 16).take(12);
  const out = new PolicyVerdict();
  const lookup = (question: number): number => {
    const word = memory.u32[(question + QUESTION.dport) >> 2]!;
    const identity = memory.u32[question >> 2]!;
    const [egress, protocol, dport] = [(word >>> 24) as 0 | 1, (word >>> 16) & 0xff, word & 0xffff];
    return policyCanAccess(memory, trie, key, identity, egress, protocol, dport, false, out);
  };
  return {
    lookup,
    lookupBatch(questions: number, _answers: number, count: number): void {
      for (let n = 0; n < count; n++) lookup(questions + n * QUESTION.size);
    },
  };
}

function opened({ engine, shared, entries }: ScalingJob): PolicyReader {
  const definition = engineByName(engine);
  if (shared === undefined) return definition.create(memory, entries, entries.length);
  return definition.attach?.(memory, shared) ?? sharedTrie(shared);
}

const engine = opened(job);
let at = job.from;
parentPort!.on('message', ({ ms }: { ms: number }) => {
  let verdicts = 0;
  const begin = performance.now();
  do {
    if (at + CALL_BLOCKS * BLOCK > job.count) at = 0;
    batch(engine, job.questions + at * QUESTION.size, answers, CALL_BLOCKS, ns);
    at += CALL_BLOCKS * BLOCK;
    verdicts += CALL_BLOCKS * BLOCK;
  } while (performance.now() - begin < ms);
  parentPort!.postMessage({ verdicts, ms: performance.now() - begin });
});
parentPort!.postMessage('ready');
