// Writes records of changing length to a ring buffer that others write too: its number, a count, then its number.
import { workerData } from 'node:worker_threads';
import { type Address, Memory, RingBufMap } from '../../src/index.ts';

const data = workerData as { buffer: SharedArrayBuffer; ring: Address; writer: number; records: number };
const memory = Memory.attach(data.buffer);
const ring = RingBufMap.attach(memory, data.ring);
const record = memory.alloc(64);

function fill(at: Address, n: number, size: number): void {
  memory.u32[at >> 2] = data.writer;
  memory.u32[(at >> 2) + 1] = n;
  memory.u8.fill(data.writer, at + 8, at + size);
}

for (let n = 0; n < data.records; n++) {
  const size = 8 + (n % 50);
  let sample = ring.reserve(size);
  while (sample === 0) sample = ring.reserve(size); // full: the reader makes room
  fill(sample, n, size);
  if (n % 7 !== 3) ring.submit(sample);
  else {
    ring.discard(sample); // then the reader must not see it, but this one
    fill(record, n, size);
    while (ring.output(record, size) !== 0);
  }
}
