import { type BpfMap, MapError, Memory, Reader } from '@ciliate/maps';
import { VmError } from '../errors.ts';
import type { HelperTable } from '../helpers/helper.ts';
import { HELPERS } from '../helpers/table.ts';
import { Interpreter, type Observer } from '../interpreter/interpreter.ts';
import type { LookupEngineMaker } from '../machine/lookup_engine.ts';
import { Machine, type MachineOptions } from '../machine/machine.ts';
import type { Registers } from '../machine/registers.ts';
import { type Image, link } from '../object/link.ts';
import type { LinkedFunction } from '../object/linked.ts';
import type { BpfObject } from '../object/object.ts';
import { Compiled } from '../translator/compiled.ts';

/** How programs are run: as WebAssembly, the same with every access checked, or step by step. */
export type Engine = 'compiled' | 'checked' | 'interpreter';

export interface VmOptions extends MachineOptions {
  memory?: Memory;
  engine?: Engine;
  /** Instead of `HELPERS`. */
  helpers?: HelperTable;
  /** How many workers per-CPU maps are made for. */
  cpus?: number;
  /**
   * Other threads write the same maps: what any of them takes out is used again only when all of them have left their run. Until
   * then a map takes new memory.
   */
  isShared?: boolean;
  /** How many instructions of the interpreter, or turns of loops of the others, a run may take. By default 100 million. */
  budget?: number;
  /** What looks up in place of maps themselves, by the map's name in an object. */
  lookupEngines?: ReadonlyMap<string, LookupEngineMaker>;
  /** Of the interpreter: sees each instruction. */
  observer?: Observer;
}

/** Runs without a look at the machine between them; what they leave there stays small. */
const ROW = 256;
const DEFAULT_BUDGET = 100_000_000;
const DEFAULT_MEMORY = 1024 * 1024 * 1024;

/** One worker that loads objects and runs their programs. */
export class Vm {
  readonly machine: Machine;
  private readonly engine: Engine;
  private readonly cpus: number;
  private readonly budget: number;
  private readonly lookupEngines: ReadonlyMap<string, LookupEngineMaker>;
  private readonly reader: Reader | undefined;
  private readonly functions: (LinkedFunction | undefined)[] = [undefined];
  private readonly compiled: Compiled;
  private readonly interpreter: Interpreter;

  constructor({
    memory,
    engine = 'compiled',
    helpers = HELPERS,
    cpus = 1,
    budget = DEFAULT_BUDGET,
    isShared = false,
    lookupEngines = new Map(),
    observer,
    ...options
  }: VmOptions = {}) {
    this.machine = new Machine(memory ?? Memory.create(DEFAULT_MEMORY), options);
    this.engine = engine;
    this.cpus = cpus;
    this.reader = isShared ? Reader.join(this.machine.memory, { writes: true }) : undefined;
    this.budget = budget;
    this.lookupEngines = lookupEngines;
    this.compiled = new Compiled(this.machine, helpers, {
      isChecked: engine === 'checked',
      isWatched: lookupEngines.size > 0,
    });
    this.interpreter = new Interpreter(this.machine, this.functions, helpers);
    this.interpreter.observer = observer;
  }

  /** The interpreter's, after a run. */
  get registers(): Registers {
    return this.interpreter.registers;
  }

  /** @param maps that exist already, by name. @throws VmError BAD_INPUT */
  load(object: BpfObject, maps: ReadonlyMap<string, BpfMap> = new Map()): Image {
    const image = linked(object, this.machine.memory, this.functions.length, this.cpus, maps);
    const functions = [...image.functions.values()];
    for (const fn of functions) this.functions[fn.index] = fn;
    for (const region of image.data) this.machine.regions.addFixed(region);
    for (const [name, make] of this.lookupEngines) {
      const map = image.maps.get(name);
      if (map !== undefined) this.machine.engines.set(map.address, make(map));
    }
    if (this.engine !== 'interpreter') this.compiled.add(functions);
    return image;
  }

  /** Runs a program on the machine's packet. @returns its answer. @throws VmError FAULT */
  run(fn: LinkedFunction): number {
    this.machine.reset();
    this.reader?.quiet();
    return this.engine === 'interpreter' ? this.interpreter.run(fn, this.budget) : this.compiled.run(fn, this.budget);
  }

  /** Runs a program several times, each on what the run before left. @returns the last answer; 0 for no run */
  repeat(fn: LinkedFunction, times: number): number {
    let left = times;
    for (const isFree = this.engine === 'compiled' && this.reader === undefined; isFree && left > ROW; left -= ROW) {
      this.machine.reset();
      this.compiled.run(fn, this.budget, ROW);
    }
    let status = 0;
    for (; left > 0; left--) status = this.run(fn);
    return status;
  }

  /** Before waiting for something else than a packet: writers in other threads need not wait for this worker. */
  pause(): void {
    this.reader?.pause();
  }

  /** Gives the machine's memory back; maps stay. */
  destroy(): void {
    this.reader?.leave();
    this.machine.destroy();
  }
}

function linked(
  object: BpfObject,
  memory: Memory,
  firstIndex: number,
  cpus: number,
  maps: ReadonlyMap<string, BpfMap>,
): Image {
  try {
    return link(object, memory, { firstIndex, cpus, maps });
  } catch (cause) {
    if (!(cause instanceof MapError)) throw cause;
    throw new VmError('BAD_INPUT', `${object.name}: ${cause.message}`, {}, cause);
  }
}
