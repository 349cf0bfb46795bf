import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { LpmTrie, Memory, POLICY_ENTRY, POLICY_KEY } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { profile118 } from '../../src/engines/profiles/priority.ts';
import { engineByName, QUESTION, writeQuestion } from '../../src/index.ts';

const REPORT = { state: 0, rounds: 1, wrong: 2 };
const RUNNING = 1;
const STOP = 2;
const TCP = 6;
const ENTRIES = 32;

const key = (identity: number) => ({ egress: false, identity, protocol: TCP, dport: 80, portPrefixLen: 16 });
const plain = { deny: false, proxyPortPriority: 0, hasExplicitAuth: true };

/**
 * One thread asks for verdicts without end, another one writes the trie for `ms`: what is asked for is replaced all the time,
 * beside it entries come and go, so that nodes are used again. @returns how many answers were wrong
 */
async function wrongUnderLoad(singleOwner: boolean, ms: number): Promise<number> {
  const memory = Memory.create(16 * 1024 * 1024);
  const spec = { keySize: POLICY_KEY.size, valueSize: POLICY_ENTRY.size, maxEntries: 4 * ENTRIES, singleOwner };
  const trie = LpmTrie.create(memory, spec);
  const [at, value] = [memory.alloc(16), memory.alloc(8)];
  const write = (identity: number, proxyPort: number, authType: number, proxyPortPriority: number): void => {
    profile118.writeKey(memory, at, key(identity));
    profile118.writeValue(memory, value, { ...key(identity), ...plain, proxyPort, authType, proxyPortPriority });
    expect(trie.update(at, value)).toBe(0);
  };
  const remove = (identity: number): void => {
    profile118.writeKey(memory, at, key(identity));
    expect(trie.delete(at)).toBe(0);
  };
  const identityOf = (i: number): number => Math.imul(i + 1, 0x9e37_79b1) >>> 0;
  const put = (i: number, round: number): void => {
    const authType = 1 + (round % 127);
    write(identityOf(i), (i << 8) | authType, authType, authType);
  };
  const questions = memory.alloc(ENTRIES * QUESTION.size);
  for (let i = 0; i < ENTRIES; i++) {
    writeQuestion(memory, questions + i * QUESTION.size, identityOf(i), false, TCP, 80, false);
    put(i, 0);
  }
  write(0, 0xffff, 0, 0); // also matches, and must lose

  const report = memory.alloc(64);
  const workerData = { wasm: memory.wasm, trie: trie.address, report, questions, count: ENTRIES };
  const worker = new Worker(new URL('../workers/verdict_reader.ts', import.meta.url), { workerData });
  const ended = once(worker, 'exit');
  const words = memory.i32.subarray(report >> 2, (report >> 2) + 3);
  for (let waits = 0; words[REPORT.state] !== RUNNING && waits < 1000; waits++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  let round = 1;
  for (const end = performance.now() + ms; performance.now() < end; round++) {
    for (let i = 0; i < ENTRIES; i++) {
      put(i, round);
      if (round % 2 === 1) write(identityOf(ENTRIES + i), 0xfefe, 0, 0);
      else remove(identityOf(ENTRIES + i));
    }
  }
  Atomics.store(words, REPORT.state, STOP);
  expect(await ended).toEqual([0]);
  expect(words[REPORT.rounds]).toBeGreaterThan(0);
  expect(round).toBeGreaterThan(2);
  return words[REPORT.wrong]!;
}

test('each verdict comes from whole entries while another thread writes the map', async () => {
  expect(await wrongUnderLoad(false, 1000)).toBe(0);
});

// The test above would see it: a single-owner trie uses replaced nodes again at once.
test('without the protection, the same reader sees wrong verdicts', async () => {
  let wrong = 0;
  for (let tries = 0; tries < 20 && wrong === 0; tries++) wrong = await wrongUnderLoad(true, 500);
  expect(wrong).toBeGreaterThan(0);
});

test('is refused on a memory that was attached by its buffer alone, and takes none of it', () => {
  const memory = Memory.create(1024 * 1024);
  const before = memory.usedBytes;
  const { create } = engineByName('lpm-trie');
  expect(() => create(Memory.attach(memory.buffer), [], 1)).toThrow('attach to Memory.wasm');
  expect(memory.usedBytes).toBe(before);
});

test('makes no second walk behind a deny for the identity', () => {
  const memory = Memory.create(1024 * 1024);
  const denies = { ...key(7), ...plain, deny: true, proxyPort: 0, authType: 0 };
  const engine = engineByName('lpm-trie').create(memory, [denies], 4);
  const question = memory.alloc(QUESTION.size);
  const walks = [7, 8].map((identity) => {
    writeQuestion(memory, question, identity, false, TCP, 80, false);
    engine.lookup(question, memory.alloc(8));
    return engine.probes;
  });
  expect(walks).toEqual([1, 2]);
  engine.destroy();
});
