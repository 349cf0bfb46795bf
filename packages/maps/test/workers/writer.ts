// Writes keys of its own to a map that others write too: again and again, deleting every second one in between.
import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Memory, openMap, Scratch } from '../../src/index.ts';

interface WriterData {
  buffer: SharedArrayBuffer;
  map: Address;
  writer: number;
  perWriter: number;
  rounds: number;
}

const { buffer, map: address, writer, perWriter, rounds } = workerData as WriterData;
const memory = Memory.attach(buffer);
const map = openMap(memory, address);
const scratch = Scratch.create(memory, 16);
const key = scratch.take(8);
const value = scratch.take(8);
let failed = 0;
for (let round = 0; round < rounds; round++) {
  for (let i = 0; i < perWriter; i++) {
    memory.u32[key >> 2] = 32; // an LPM prefix length
    memory.u32[(key + 4) >> 2] = Math.imul(writer * 65_536 + i, 0x9e37_79b1);
    memory.u32[value >> 2] = writer;
    if (map.update(key, value) !== 0) failed++;
    if (i % 2 === 1 && round < rounds - 1 && map.delete(key) !== 0) failed++;
    if (i % 2 === 0 && memory.u32[map.lookup(key) >> 2] !== writer) failed++;
  }
}
parentPort!.postMessage({ failed });
