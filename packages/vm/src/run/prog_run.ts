import { type BpfMap, EventRing, PerfEventArray, RingBufMap } from '@ciliate/maps';
import { badInput } from '../errors.ts';
import type { LookupEngineMaker } from '../machine/lookup_engine.ts';
import { type BpfObject, isProgram, programType } from '../object/object.ts';
import { changes, fillMaps, type MapChange, snapshot } from './map_contents.ts';
import type { Stepper } from './stepper.ts';
import { testRun } from './test_run.ts';
import { type Engine, Vm } from './vm.ts';

const RING_BYTES = 1024 * 1024;

export interface ProgRunOptions {
  prog: string;
  packet: Uint8Array;
  engine: Engine;
  seed: number;
  /** How many times, each on what the run before left of packet and maps. */
  repeat: number;
  /** What the maps hold at first (`MapContents`), and where that comes from, for messages. */
  maps?: { contents: unknown; where: string };
  /** See `VmOptions`. */
  lookupEngines?: ReadonlyMap<string, LookupEngineMaker>;
  /** Told each step; then the interpreter runs, whatever `engine` says. */
  stepper?: Stepper;
}

export interface ProgRun {
  status: number;
  packet: Uint8Array;
  changes: MapChange[];
  /** Of all perf event arrays and ring buffers. */
  events: { map: string; bytes: Uint8Array }[];
  traces: string[];
  /** Mean of the program alone; the first runs are slower, before the code is optimised. */
  nsPerRun: number;
}

/** Runs one program of an object. @throws VmError BAD_INPUT, FAULT */
export function progRun(object: BpfObject, options: ProgRunOptions): ProgRun {
  const { prog, packet, seed, repeat, stepper, lookupEngines = new Map<string, LookupEngineMaker>() } = options;
  const observer = stepper?.observer;
  for (const name of lookupEngines.keys())
    if (!object.maps.has(name))
      throw badInput(`${object.name}: no map ${name}; it has ${[...object.maps.keys()].join(', ') || 'none'}`);
  const vm = new Vm({
    ...{ seed, lookupEngines },
    engine: stepper === undefined ? options.engine : 'interpreter',
    ...(observer === undefined ? {} : { observer }),
  });
  const image = vm.load(object);
  const fn = image.functions.get(prog);
  const type = fn === undefined ? 'other' : programType(fn.def.section);
  if (fn === undefined || type === 'other') {
    const programs = [...object.functions.values()].filter((f) => isProgram(f) && programType(f.section) !== 'other');
    throw badInput(
      `${object.name}: no program ${prog} for tc or XDP; it has ${programs.map((f) => f.name).join(', ') || 'none'}`,
    );
  }
  stepper?.attach(vm.machine, image.maps);
  if (options.maps !== undefined) fillMaps(image.maps, options.maps.contents, options.maps.where);
  const drain = attachReaders(image.maps, vm.machine.cpu);
  const before = snapshot(image.maps);
  const result = testRun(vm, fn, type, packet, { repeat });
  stepper?.end(vm.registers);
  return {
    status: result.status,
    packet: result.data,
    changes: changes(before, snapshot(image.maps)),
    events: drain(),
    traces: [...vm.machine.traces],
    nsPerRun: result.durationNs / repeat,
  };
}

/** Without a reader, an event is refused with -ENOENT. */
function attachReaders(maps: ReadonlyMap<string, BpfMap>, cpu: number): () => ProgRun['events'] {
  const rings: { map: string; drain: (each: (bytes: Uint8Array) => void) => void }[] = [];
  for (const [name, map] of maps) {
    if (map instanceof RingBufMap) rings.push({ map: name, drain: (each) => map.consume(each) });
    if (!(map instanceof PerfEventArray)) continue;
    const { memory } = map;
    const ring = EventRing.create(memory, RING_BYTES);
    const scratch = memory.alloc(16);
    memory.u32[scratch >> 2] = cpu;
    memory.u32[(scratch >> 2) + 2] = ring.address;
    map.update(scratch, scratch + 8);
    memory.free(scratch, 16);
    rings.push({ map: name, drain: (each) => ring.drain(each) });
  }
  return () => {
    const events: ProgRun['events'] = [];
    for (const { map, drain } of rings) drain((bytes) => events.push({ map, bytes }));
    return events;
  };
}
