import { workerData } from 'node:worker_threads';
import { Memory } from '@ciliate/maps';
import { measureLookups, measurePackets } from './measure.ts';
import type { Measurement, Task, WorkerInit } from './protocol.ts';

const { buffer, seed, config } = workerData as WorkerInit;
const memory = Memory.attach(buffer);

/** What a thread of the pool runs for each task. */
export default function run(task: Task): Measurement {
  return task.kind === 'lookups' ? measureLookups(memory, task) : measurePackets(memory, seed, config, task);
}
