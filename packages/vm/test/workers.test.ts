import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type BpfMap, type HashMap, Memory, type PerCpuArrayMap, type PerCpuHashMap } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { type Image, loadObject, testRun, Vm } from '../src/index.ts';
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

type Job = Omit<RunProgramData, 'wasm' | 'maps' | 'cpu'>;

/** Runs a program in several threads on the maps of an image. @returns what each answered last */
async function together(workers: number, image: Image, { wasm }: Memory, job: Job): Promise<number[]> {
  const maps = [...image.maps].map(([name, map]): [string, number] => [name, map.address]);
  const answers = Array.from({ length: workers }, (_, i) => {
    const workerData: RunProgramData = { ...job, wasm, maps, cpu: i + 1 };
    return once(new Worker(new URL('workers/run_program.ts', import.meta.url), { workerData }), 'message');
  });
  return (await Promise.all(answers)).flat();
}

test('workers on one memory: atomic counters are exact, each has per-CPU values of its own', async () => {
  const memory = Memory.create(256 * 1024 * 1024);
  const cpus = WORKERS + 1;
  const vm = new Vm({ memory, cpus });
  const image = vm.load(loadObject(readFileSync(OBJECT), 'bench.bpf.o'));
  expect(testRun(vm, image.functions.get('fill')!, 'tc', PACKET).status).toBe(0);
  const job = {
    engine: 'compiled',
    cpus,
    object: OBJECT,
    program: 'established',
    packet: PACKET,
    repeat: REPEAT,
  } as const;
  const answers = await together(WORKERS, image, memory, job);
  expect(answers).toEqual(Array.from({ length: WORKERS }, () => TC_ACT_REDIRECT));

  const packets = [...image.maps.get('connections')!.entries()].map(({ value }) => memory.u64[value / 8]!);
  expect(packets.filter((count) => count !== 1n)).toEqual([BigInt(1 + WORKERS * REPEAT)]);
  const metrics = image.maps.get('metrics') as PerCpuHashMap;
  const { key } = [...metrics.entries()][0]!;
  const counts = Array.from({ length: cpus }, (_, cpu) => Number(memory.u64[metrics.lookupCpu(key, cpu) / 8]));
  expect(counts[0]).toBe(0);
  expect(counts.slice(1)).toEqual(Array.from({ length: WORKERS }, () => REPEAT));
});

const HAMMER = fileURLToPath(new URL('fixtures/workers.bpf.o', import.meta.url));
const ENGINES = ['interpreter', 'compiled', 'checked'] as const;

test.each(ENGINES)(
  'two workers write, read and delete the same entries: none is ever mixed or lost (%s)',
  async (engine) => {
    const memory = Memory.create(64 * 1024 * 1024);
    const cpus = 3;
    const vm = new Vm({ memory, cpus, engine });
    const image = vm.load(loadObject(readFileSync(HAMMER), 'workers.bpf.o'));
    const repeat = engine === 'compiled' ? 20_000 : 3_000;
    const job = { engine, cpus, object: HAMMER, program: 'hammer', packet: PACKET, repeat };
    expect(await together(2, image, memory, job)).toEqual([0, 0]);
    const counter = (name: string): bigint => {
      const { section, at } = image.object.variables.get(name)!;
      const data = image.data.find(({ name: of }) => of === section)!;
      return memory.u64[(data.from + at) >> 3]!;
    };
    expect({ spoilt: counter('spoilt'), missing: counter('missing') }).toEqual({ spoilt: 0n, missing: 0n });
    expect(counter('runs')).toBe(BigInt(2 * repeat));
    const own = image.maps.get('own') as PerCpuArrayMap;
    const first = memory.alloc(8); // the key 0
    memory.u32[first >> 2] = 0;
    expect([0, 1, 2].map((cpu) => Number(memory.u64[own.lookupCpu(first, cpu) >> 3]))).toEqual([0, repeat, repeat]);
    const entries = image.maps.get('entries') as HashMap;
    const left = [...entries.entries()];
    expect(left).toHaveLength(entries.count);
    for (const { key, value } of left) {
      expect(memory.u32[key >> 2]).toBeLessThan(32);
      expect(memory.u32[value >> 2]! & 0xffff).toBe(memory.u32[key >> 2]);
    }
    expect([...(image.maps.get('recent') as BpfMap).entries()].length).toBeLessThanOrEqual(16);
  },
);

test.each(ENGINES)('a deleted entry stays as it is until the run is over, where workers share maps (%s)', (engine) => {
  const answers = [true, false].map((isShared) => {
    const vm = new Vm({ memory: Memory.create(16 * 1024 * 1024), engine, isShared });
    const image = vm.load(loadObject(readFileSync(HAMMER), 'workers.bpf.o'));
    const statuses = Array.from({ length: 3 }, () => testRun(vm, image.functions.get('keep')!, 'tc', PACKET).status);
    vm.destroy();
    return statuses;
  });
  const TC_ACT_SHOT = 2;
  expect(answers[0]).toEqual([0, 0, 0]);
  expect(answers[1]).toContain(TC_ACT_SHOT); // without it, the entry is used again: the program would see that
});
