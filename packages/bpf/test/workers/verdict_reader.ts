// Asks the WebAssembly code of `lpm-trie` without end while another thread writes the trie, and counts wrong answers.
import { workerData } from 'node:worker_threads';
import { type Address, LpmTrie, Memory, Reader, type WasmMemory } from '@ciliate/maps';
import { createTables, lpmTrieCode } from '../../src/engines/lpm_trie_code.ts';
import { ANSWER, readAnswer } from '../../src/index.ts';
import { DROP_POLICY_AUTH_REQUIRED } from '../../src/lib/drop_reasons.ts';

/** Words of the memory through which the two threads talk. */
const REPORT = { state: 0, rounds: 1, wrong: 2 } as const;
const STATE = { running: 1, stop: 2 } as const;

interface ReaderData {
  wasm: WasmMemory;
  trie: Address;
  report: Address;
  questions: Address;
  count: number;
}

const { wasm, trie, report, questions, count } = workerData as ReaderData;
const memory = Memory.attach(wasm);
const code = lpmTrieCode(wasm, LpmTrie.attach(memory, trie));
const tables = createTables(memory);
const answers = memory.alloc(count * ANSWER.size);
const reader = Reader.join(memory);
const state = (report >> 2) + REPORT.state;

Atomics.store(memory.i32, state, STATE.running);
while (Atomics.load(memory.i32, state) !== STATE.stop) {
  code.lookupBatch(tables, questions, answers, count);
  reader.quiet();
  for (let i = 0; i < count; i++) {
    const { ret, proxyPort, authType } = readAnswer(memory, answers + i * ANSWER.size);
    // As the writer makes them: the entry's number, then the round, which is the type of authentication as well.
    const isRight = ret === DROP_POLICY_AUTH_REQUIRED && proxyPort >>> 8 === i && authType === (proxyPort & 0xff);
    if (!isRight) Atomics.add(memory.i32, (report >> 2) + REPORT.wrong, 1);
  }
  Atomics.add(memory.i32, (report >> 2) + REPORT.rounds, 1);
}
reader.leave();
