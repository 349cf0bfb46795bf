import {
  type Address,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  type BpfMap,
  createMap,
  MapError,
  type Memory,
  Scratch,
} from '@ciliate/maps';
import { badInput, VmError } from '../errors.ts';
import type { Code } from '../insn/code.ts';
import type { Region } from '../machine/regions.ts';
import { checkCallDepth } from './call_depth.ts';
import type { LinkedFunction } from './linked.ts';
import type { BpfObject, DataSection, FunctionDef, MapDef, Reference } from './object.ts';

const TAIL_TAG = /^tail:([^/]+)\/(\d+)$/;

export interface LinkOptions {
  /** Number of the first function; the others follow. At least 1. */
  firstIndex: number;
  /** How many workers there will be: values of per-CPU maps, slots of perf event arrays. */
  cpus?: number;
  /**
   * Maps and sections of variables that exist already, by name: used instead of new ones. Another worker passes all those of
   * the first one's image.
   */
  maps?: ReadonlyMap<string, BpfMap>;
}

/** An object whose maps exist in a memory and whose functions can run. */
export interface Image {
  object: BpfObject;
  functions: ReadonlyMap<string, LinkedFunction>;
  maps: ReadonlyMap<string, BpfMap>;
  /** The sections of global variables, each in a map named after it; for `Regions`. */
  data: readonly Region[];
}

/** What references stand for. */
type Made = Omit<Image, 'object'>;

/**
 * Creates the maps of an object, fills those that the object gives values, and writes addresses and indices where the
 * instructions refer to maps, variables and functions.
 * @throws VmError BAD_INPUT; MapError for maps that cannot be made
 */
export function link(
  object: BpfObject,
  memory: Memory,
  { firstIndex, cpus = 1, maps: existing = new Map() }: LinkOptions,
): Image {
  checkCallDepth(object);
  const maps = new Map<string, BpfMap>();
  for (const def of object.maps.values())
    maps.set(def.name, existing.get(def.name) ?? makeMap(memory, def, cpus, object.name));
  const data: Region[] = [];
  for (const section of object.data.values()) {
    const { name, bytes, isReadOnly } = section;
    const map = existing.get(name) ?? makeData(memory, section);
    const from = [...map.entries()][0]!.value;
    maps.set(name, map);
    data.push({ from, to: from + bytes.length, isReadOnly, name });
  }
  const functions = new Map<string, LinkedFunction>();
  for (const def of object.functions.values())
    functions.set(def.name, { def, index: firstIndex + functions.size, code: def.code });
  for (const fn of functions.values()) fn.code = patch(fn.def, { functions, maps, data });
  fillMaps(object, memory, functions, maps);
  return { object, functions, maps, data };
}

function makeData(memory: Memory, { name, bytes }: DataSection): BpfMap {
  const spec = { keySize: 4, valueSize: bytes.length, maxEntries: 1, name };
  const map = createMap(memory, BPF_MAP_TYPE_ARRAY, spec);
  memory.u8.set(bytes, [...map.entries()][0]!.value);
  return map;
}

function makeMap(memory: Memory, def: MapDef, cpus: number, file: string): BpfMap {
  const { name, type, keySize, inner } = def;
  const isEvents = type === BPF_MAP_TYPE_PERF_EVENT_ARRAY;
  const isIndexed = isEvents || type === BPF_MAP_TYPE_PROG_ARRAY;
  const maxEntries = isEvents && def.maxEntries === 0 ? cpus : def.maxEntries;
  // What a program sees as a file descriptor of 4 bytes.
  const valueSize = (isIndexed || inner !== undefined) && def.valueSize === 0 ? 4 : def.valueSize;
  try {
    return createMap(
      memory,
      type,
      { keySize: isIndexed && keySize === 0 ? 4 : keySize, valueSize, maxEntries, name, cpus },
      inner,
    );
  } catch (cause) {
    if (!(cause instanceof MapError) || cause.code !== 'EINVAL') throw cause;
    throw new VmError('BAD_INPUT', `${file}: map ${name}: ${cause.message}`, {}, cause);
  }
}

function patch(def: FunctionDef, made: Made): Code {
  const numbers = new Map<number, number>();
  for (const [slot, reference] of def.references) numbers.set(slot, numberOf(reference, made));
  return def.code.withNumbers(numbers);
}

function numberOf(reference: Reference, { functions, maps, data }: Made): number {
  switch (reference.kind) {
    case 'map':
      return maps.get(reference.name)!.address;
    case 'data':
      return data.find(({ name }) => name === reference.section)!.from + reference.offset;
    case 'function':
      return functions.get(reference.name)!.index;
  }
}

/** Static initialisers, and programs whose tag names their slot. */
function fillMaps(
  object: BpfObject,
  memory: Memory,
  functions: ReadonlyMap<string, LinkedFunction>,
  maps: ReadonlyMap<string, BpfMap>,
): void {
  const scratch = Scratch.create(memory, 16);
  const key: Address = scratch.take(8);
  const value: Address = scratch.take(8);
  const put = (mapName: string, index: number, number: number | undefined, target: string): void => {
    const map = maps.get(mapName);
    if (map === undefined || number === undefined) {
      throw badInput(`${object.name}: ${target} is to be put into ${mapName}, but one of them is not there`);
    }
    memory.view.setUint32(key, index, true);
    memory.view.setUint32(value, number, true);
    const result = map.update(key, value);
    if (result !== 0)
      throw badInput(`${object.name}: ${target} does not fit into ${mapName}[${index}]`, { errno: -result });
  };
  try {
    for (const { name, type, values } of object.maps.values()) {
      for (const { index, target } of values) {
        const number = type === BPF_MAP_TYPE_PROG_ARRAY ? functions.get(target)?.index : maps.get(target)?.address;
        put(name, index, number, target);
      }
    }
    for (const { def, index } of functions.values()) {
      for (const tag of def.tags) {
        const match = TAIL_TAG.exec(tag);
        if (match !== null) put(match[1]!, Number(match[2]), index, def.name);
      }
    }
  } finally {
    scratch.destroy();
  }
}
