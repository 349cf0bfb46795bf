// Runs a program again and again on the maps of another thread's image; answers when it is done.
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Memory, openMap, type WasmMemory } from '@ciliate/maps';
import { type Engine, loadObject, testRun, Vm } from '../../src/index.ts';

export interface RunProgramData {
  wasm: WasmMemory;
  engine: Engine;
  cpu: number;
  cpus: number;
  object: string;
  /** Name and address. */
  maps: [string, number][];
  program: string;
  packet: Uint8Array;
  repeat: number;
}

const { wasm, engine, cpu, cpus, object, maps, program, packet, repeat } = workerData as RunProgramData;
const memory = Memory.attach(wasm);
const vm = new Vm({ memory, cpu, cpus, engine, seed: cpu, isShared: true });
const existing = new Map(maps.map(([name, address]) => [name, openMap(memory, address, cpu)]));
const image = vm.load(loadObject(readFileSync(object), 'object'), existing);
const { status } = testRun(vm, image.functions.get(program)!, 'tc', packet, { repeat });
vm.destroy();
parentPort!.postMessage(status);
