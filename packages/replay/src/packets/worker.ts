import { workerData } from 'node:worker_threads';
import { Memory } from '@ciliate/maps';
import { CaptureError } from '@ciliate/packet';
import type { WorkerInit } from '../protocol.ts';
import { PacketWorker } from './packet_worker.ts';
import type { CaptureFailure, PacketsTask, WorkerResult } from './protocol.ts';

const { memory: wasm, seed, config } = workerData as WorkerInit;
const memory = Memory.attach(wasm);

/** What a thread of the pool runs. */
export default function run(task: PacketsTask): WorkerResult | CaptureFailure {
  const worker = new PacketWorker(memory, seed, config, task);
  try {
    return worker.run();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    const problem = error.message.slice(task.capture.path.length + 2); // `FILE: PROBLEM`
    return { problem, context: error.context };
  } finally {
    worker.destroy();
  }
}
