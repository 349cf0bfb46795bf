import { workerData } from 'node:worker_threads';
import { Memory } from '@ciliate/maps';
import type { WorkerInit } from '../protocol.ts';
import { PacketWorker } from './packet_worker.ts';
import type { PacketsTask, WorkerResult } from './protocol.ts';

const { memory: wasm, seed, config } = workerData as WorkerInit;
const memory = Memory.attach(wasm);

/** What a thread of the pool runs. */
export default function run(task: PacketsTask): WorkerResult {
  const worker = new PacketWorker(memory, seed, config, task);
  try {
    return worker.run();
  } finally {
    worker.destroy();
  }
}
