import { fault, VmError } from '../errors.ts';
import { type FastHelper, fastHelpers, WRITERS } from '../helpers/fast.ts';
import { checkArguments, type Helper, type HelperTable, widthOf } from '../helpers/helper.ts';
import { HELPERS } from '../helpers/table.ts';
import type { Machine } from '../machine/machine.ts';
import type { LinkedFunction } from '../object/linked.ts';
import { entryModule } from './entry.ts';
import { lookupImport, type TranslateOptions, translate, withCallees } from './translate.ts';

/** Node's types do not declare it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
  Table: new (descriptor: { element: 'anyfunc'; initial: number }) => Table;
  Global: new (descriptor: { value: 'i32'; mutable: true }, value: number) => object;
  RuntimeError: new () => Error;
};
interface Table {
  readonly length: number;
  grow(by: number): number;
}
interface Exports {
  run: (index: number, stack: number, context: number, budget: number, times: number) => number;
  callback: (index: number, a: number, b: number, c: number, d: number) => number;
}

export interface CompiledOptions extends TranslateOptions {
  /** Somebody is told of what programs write to maps (`Machine.changed`). */
  isWatched?: boolean;
}

/** The functions of an object, by their indices, how they are compiled, and what their modules import. */
interface Loaded {
  functions: ReadonlyMap<number, LinkedFunction>;
  options: TranslateOptions;
  env: object;
}

/**
 * Programs as WebAssembly on one machine. Several objects may be added; their programs call each other by prog arrays.
 * A program is compiled when it is first entered.
 */
export class Compiled {
  private readonly machine: Machine;
  private readonly helpers: HelperTable;
  private readonly options: CompiledOptions;
  private readonly table: Table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  private readonly globals = {
    budget: new WebAssembly.Global({ value: 'i32', mutable: true }, 0),
    callbackFrame: new WebAssembly.Global({ value: 'i32', mutable: true }, 0),
  };
  /** By a function's index. */
  private readonly loaded: (Loaded | undefined)[] = [];
  private exports: Exports | undefined;

  constructor(machine: Machine, helpers: HelperTable, options: CompiledOptions = {}) {
    this.machine = machine;
    this.helpers = helpers;
    this.options = options;
  }

  /** @param functions of one object, with consecutive indices */
  add(functions: readonly LinkedFunction[]): void {
    const last = functions.at(-1);
    if (last === undefined) return;
    if (this.table.length <= last.index) this.table.grow(last.index + 1 - this.table.length);
    const { memory, engines } = this.machine;
    const options = { memory, engines: new Set(engines.keys()), ...this.options };
    const loaded = { functions: new Map(functions.map((fn) => [fn.index, fn])), options, env: this.imports() };
    const indices = functions.map(({ index }) => index);
    for (const index of indices) this.loaded[index] = loaded;
    this.exports = instance(entryModule(indices), loaded.env) as Exports;
  }

  /** Puts a function and those that it calls in the place of their stubs. */
  private compile(index: number): void {
    const { functions, options, env } = this.loaded[index]!;
    instance(translate(withCallees(functions.get(index)!, functions), this.helpers, options), env);
  }

  /**
   * Runs a program on the machine's context.
   * @param budget how many turns of loops a run may take
   * @param times  at least 1
   * @returns r0's low half, of the last run
   * @throws VmError FAULT
   */
  run(fn: LinkedFunction, budget: number, times = 1): number {
    const { exports } = this;
    if (exports === undefined || this.loaded[fn.index] === undefined) throw fault(`${fn.def.name} has not been loaded`);
    this.machine.callFunction = exports.callback;
    try {
      return exports.run(fn.index, this.machine.stack, this.machine.context, budget, times) >>> 0;
    } catch (error) {
      throw located(error, fn);
    }
  }

  private imports(): object {
    const { machine, options } = this;
    const imports: Record<string, unknown> = {
      memory: machine.memory.wasm,
      table: this.table,
      state: machine.state,
      ...this.globals,
      compile: (index: number) => this.compile(index),
      exhausted: () => {
        throw fault('ran for too many turns of a loop');
      },
      missing: (id: number) => {
        throw fault(`helper ${id} is not modelled`);
      },
      check: (low: number, high: number, off: number, size: number, isWrite: number) => {
        const at = (low >>> 0) + off;
        if (high !== 0 || at < 0)
          throw fault(
            `a register holds 0x${((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16)}, no pointer`,
          );
        machine.regions.check(at, size, isWrite === 1);
      },
    };
    for (const [map, engine] of machine.engines) imports[lookupImport(map)] = (key: number) => engine.lookup(key >>> 0);
    for (const helper of this.helpers.values()) {
      imports[`helper_${helper.id}`] = options.isChecked ? checked(machine, helper) : direct(machine, helper);
    }
    if (!options.isChecked) Object.assign(imports, this.fastImports());
    return imports;
  }

  /** Helpers as WebAssembly in the place of those in TypeScript, but for what somebody has replaced or wants to be told. */
  private fastImports(): Record<string, FastHelper> {
    const slow = (id: number): FastHelper => direct(this.machine, HELPERS.get(id)!) as FastHelper;
    const fast = fastHelpers(this.machine, { update: slow(2), delete: slow(3), output: slow(25) });
    const isUsual = (id: number): boolean =>
      this.helpers.get(id) === HELPERS.get(id) && !(this.options.isWatched === true && WRITERS.includes(id));
    return Object.fromEntries([...fast].filter(([id]) => isUsual(id)).map(([id, run]) => [`helper_${id}`, run]));
  }
}

const instance = (code: Uint8Array, env: object): object =>
  new WebAssembly.Instance(new WebAssembly.Module(code), { env }).exports;

type Import = (a: number, b: number, c: number, d: number, e: number, f: number) => number;

/** Numbers arrive signed; helpers take them unsigned. Without rest parameters: a call allocates nothing. */
function direct(machine: Machine, { run, ...helper }: Helper): Import {
  switch (widthOf(helper)) {
    case 0:
      return () => run(machine);
    case 1:
      return (a) => run(machine, a >>> 0);
    case 2:
      return (a, b) => run(machine, a >>> 0, b >>> 0);
    case 3:
      return (a, b, c) => run(machine, a >>> 0, b >>> 0, c >>> 0);
    case 4:
      return (a, b, c, d) => run(machine, a >>> 0, b >>> 0, c >>> 0, d >>> 0);
    case 5:
      return (a, b, c, d, e) => run(machine, a >>> 0, b >>> 0, c >>> 0, d >>> 0, e >>> 0);
    case 6:
      return (a, b, c, d, e, f) => run(machine, a >>> 0, b >>> 0, c >>> 0, d >>> 0, e >>> 0, f >>> 0);
    default:
      return (...args: number[]) => run(machine, ...args.map((arg) => arg >>> 0));
  }
}

function checked(machine: Machine, helper: Helper): (...args: number[]) => number {
  return (...args) => {
    const unsigned = args.map((arg) => arg >>> 0);
    checkArguments(machine, helper, unsigned);
    const result = helper.run(machine, ...unsigned);
    if (helper.returns === 'value' && result !== 0) machine.grantValue(unsigned[0]!, result);
    return result;
  };
}

/** What WebAssembly stops at by itself (an address outside of the memory, a wrong function pointer) is a fault as well. */
function located(error: unknown, fn: LinkedFunction): unknown {
  if (error instanceof VmError)
    return error.code === 'FAULT' ? new VmError('FAULT', `${fn.def.name}: ${error.message}`, {}, error) : error;
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    return new VmError('FAULT', `${fn.def.name}: ${error.message}`, {}, error);
  }
  return error;
}
