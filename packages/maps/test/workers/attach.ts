// Opens the memory and looks up what the main thread wrote; answers the bytes, then adds to them in place.
import { parentPort, workerData } from 'node:worker_threads';
import { HashMap, Memory, pinned } from '../../src/index.ts';

const { buffer, name, key } = workerData as { buffer: SharedArrayBuffer; name: string; key: number };
const memory = Memory.attach(buffer);
const map = HashMap.attach(memory, pinned(memory, name));
const value = map.lookup(key);
memory.u8[value] = memory.u8[value]! + 1;
const scratch = memory.alloc(64);
parentPort!.postMessage({ spec: map.spec, value, scratch, nowNs: memory.nowNs });
