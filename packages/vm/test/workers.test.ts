import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Memory, type PerCpuHashMap } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { loadObject, testRun, Vm } from '../src/index.ts';
import type { RunProgramData } from './workers/run_program.ts';

const OBJECT = fileURLToPath(new URL('fixtures/bench.bpf.o', import.meta.url));
const TC_ACT_REDIRECT = 7;
const WORKERS = 3;
const REPEAT = 20_000;
/** TCP from 10.0.0.1 to 10.0.1.8, of a connection that `fill` makes. */
const PACKET = Buffer.concat([
  Buffer.from('0200000000010200000000020800450000640001000040060000' + '0a0000010a0001089c480050', 'hex'),
  Buffer.alloc(80),
]);

test('workers on one memory: atomic counters are exact, each has per-CPU values of its own', async () => {
  const memory = Memory.create(256 * 1024 * 1024);
  const cpus = WORKERS + 1;
  const vm = new Vm({ memory, cpus });
  const image = vm.load(loadObject(readFileSync(OBJECT), 'bench.bpf.o'));
  expect(testRun(vm, image.functions.get('fill')!, 'tc', PACKET).status).toBe(0);
  const shared = {
    ...{ wasm: memory.wasm, cpus, object: OBJECT, program: 'established', packet: PACKET, repeat: REPEAT },
    maps: [...image.maps].map(([name, map]): [string, number] => [name, map.address]),
  };
  const answers = Array.from({ length: WORKERS }, (_, i) => {
    const workerData: RunProgramData = { ...shared, cpu: i + 1 };
    return once(new Worker(new URL('workers/run_program.ts', import.meta.url), { workerData }), 'message');
  });
  expect((await Promise.all(answers)).flat()).toEqual(Array.from({ length: WORKERS }, () => TC_ACT_REDIRECT));

  const packets = [...image.maps.get('connections')!.entries()].map(({ value }) => memory.u64[value / 8]!);
  expect(packets.filter((count) => count !== 1n)).toEqual([BigInt(1 + WORKERS * REPEAT)]);
  const metrics = image.maps.get('metrics') as PerCpuHashMap;
  const { key } = [...metrics.entries()][0]!;
  const counts = Array.from({ length: cpus }, (_, cpu) => Number(memory.u64[metrics.lookupCpu(key, cpu) / 8]));
  expect(counts[0]).toBe(0);
  expect(counts.slice(1)).toEqual(Array.from({ length: WORKERS }, () => REPEAT));
});
