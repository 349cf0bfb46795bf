// Reads a map without end while another thread writes it, and counts what must not be: an entry that is not there, a
// value of which a part is old and a part new, a value of another key. Values are u32 words: key, n, n, ..., n.
import { workerData } from 'node:worker_threads';
import { type Address, Memory, openMap, Reader } from '../../src/index.ts';

/** Words of the memory through which the two threads talk. */
const REPORT = { state: 0, rounds: 1, missing: 2, mixed: 3, foreign: 4 };
const RUNNING = 1;
const STOP = 2;
const STOPPED = 3;

interface ReaderData {
  buffer: SharedArrayBuffer;
  map: Address;
  report: Address;
  /** Addresses of the keys that are in the map all the time. */
  keys: Address[];
}

const { buffer, map: address, report, keys } = workerData as ReaderData;
const memory = Memory.attach(buffer);
const words = memory.i32;
const map = openMap(memory, address);
const count = map.spec.valueSize / 4;
const reader = Reader.join(memory);
const add = (field: number): number => Atomics.add(words, (report >> 2) + field, 1);

Atomics.store(words, (report >> 2) + REPORT.state, RUNNING);
while (Atomics.load(words, (report >> 2) + REPORT.state) !== STOP) {
  for (const key of keys) {
    const value = map.lookup(key) >> 2;
    if (value === 0) add(REPORT.missing);
    else {
      const first = words[value + 1]!;
      for (let i = 2; i < count; i++) if (words[value + i] !== first) add(REPORT.mixed);
      if (words[value] !== words[(key + 4) >> 2]) add(REPORT.foreign);
    }
    reader.quiet();
  }
  add(REPORT.rounds);
}
reader.leave();
Atomics.store(words, (report >> 2) + REPORT.state, STOPPED);
