import { workerData } from 'node:worker_threads';
import { Memory } from '@ciliate/maps';
import { measureLookups, measurePackets } from './measure.ts';
import type { Measurement, Task, WorkerInit } from './protocol.ts';

const { memory: wasm, seed, config } = workerData as WorkerInit;
const memory = Memory.attach(wasm);

/** What a thread of the pool runs for each task. */
export default function run(task: Task): Measurement {
  return task.kind === 'lookups' ? measureLookups(memory, task) : measurePackets(memory, seed, config, task);
}
