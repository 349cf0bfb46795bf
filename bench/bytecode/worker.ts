/**
 * One worker of the question whether two run twice as much: attaches to the memory and the maps, and runs a program for as long
 * as each message says. Messages as in scaling_worker.ts.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Memory, openMap, type WasmMemory } from '@ciliate/maps';
import { loadObject, Vm } from '@ciliate/vm';
import { OBJECT, PACKET, runVm } from './program.ts';

export interface WorkerJob {
  wasm: WasmMemory;
  cpu: number;
  cpus: number;
  /** Name and address. */
  maps: [string, number][];
  program: string;
  /** Which of those that `fill` made. */
  connection: number;
}

const RUNS = 10_000;
const FIRST_PORT = 40_000;
const { wasm, cpu, cpus, maps, program, connection } = workerData as WorkerJob;
const memory = Memory.attach(wasm);
const vm = new Vm({ memory, cpu, cpus, isShared: true });
const existing = new Map(maps.map(([name, address]) => [name, openMap(memory, address, cpu)]));
const image = vm.load(loadObject(readFileSync(OBJECT), 'bench.bpf.o'), existing);
const packet = Buffer.from(PACKET);
packet[33] = connection;
packet.writeUInt16BE(FIRST_PORT + connection, 34);
parentPort!.on('message', ({ ms }: { ms: number }) => {
  let verdicts = 0;
  const begin = performance.now();
  do {
    runVm(vm, image, program, RUNS, packet);
    verdicts += RUNS;
  } while (performance.now() - begin < ms);
  parentPort!.postMessage({ verdicts, ms: performance.now() - begin });
});
parentPort!.postMessage('ready');
