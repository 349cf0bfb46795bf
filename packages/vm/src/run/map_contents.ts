import {
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_RINGBUF,
  type BpfMap,
} from '@ciliate/maps';
import { badInput } from '../errors.ts';

/** Their values are no bytes of a program's. */
const WITHOUT_BYTES: readonly number[] = [
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_RINGBUF,
];

/** Entries to put into maps before a run: by the map's name, each `key=value` in hex. */
export type MapContents = Record<string, string[]>;

/** @throws VmError BAD_INPUT with the place in the file */
export function fillMaps(maps: ReadonlyMap<string, BpfMap>, contents: unknown, where: string): void {
  if (typeof contents !== 'object' || contents === null || Array.isArray(contents)) {
    throw badInput(`${where}: want an object: names of maps, and for each a list of "key=value" in hex`);
  }
  for (const [name, entries] of Object.entries(contents)) {
    const map = maps.get(name);
    if (map === undefined)
      throw badInput(`${where}: the object has no map ${name}; it has ${[...maps.keys()].join(', ')}`);
    if (!Array.isArray(entries)) throw badInput(`${where}: ${name}: want a list of "key=value" in hex`);
    for (const [i, entry] of entries.entries()) put(map, entry, `${where}: ${name}[${i}]`);
  }
}

function put(map: BpfMap, entry: unknown, where: string): void {
  const match = typeof entry === 'string' ? /^([0-9a-f]+)=([0-9a-f]+)$/i.exec(entry) : null;
  if (match === null) throw badInput(`${where}: want "key=value" in hex`);
  const [key, value] = [Buffer.from(match[1]!, 'hex'), Buffer.from(match[2]!, 'hex')];
  const { keySize, valueSize } = map.spec;
  if (key.length !== keySize || match[1]!.length !== 2 * keySize)
    throw badInput(`${where}: a key has ${keySize} bytes`);
  if (value.length !== valueSize || match[2]!.length !== 2 * valueSize)
    throw badInput(`${where}: a value has ${valueSize} bytes`);
  const { memory } = map;
  const valueAt = (keySize + 7) & ~7;
  const scratch = memory.alloc(valueAt + valueSize);
  memory.u8.set(key, scratch);
  memory.u8.set(value, scratch + valueAt);
  const result = map.update(scratch, scratch + valueAt);
  memory.free(scratch, valueAt + valueSize);
  if (result !== 0) throw badInput(`${where}: the map does not take it`, { errno: -result });
}

export type Snapshot = Map<string, Map<string, string>>;

/** All entries of all maps, as hex. */
export function snapshot(maps: ReadonlyMap<string, BpfMap>): Snapshot {
  const found: Snapshot = new Map();
  for (const [name, map] of maps) {
    if (WITHOUT_BYTES.includes(map.type) || name.startsWith('.rodata')) continue;
    const hex = (at: number, size: number): string => Buffer.from(map.memory.u8.slice(at, at + size)).toString('hex');
    const entries = new Map<string, string>();
    for (const { key, value } of map.entries()) entries.set(hex(key, map.spec.keySize), hex(value, map.spec.valueSize));
    found.set(name, entries);
  }
  return found;
}

export interface MapChange {
  map: string;
  key: string;
  /** Hex; undefined: the entry was not there, or is gone. */
  before?: string;
  after?: string;
}

export function changes(before: Snapshot, after: Snapshot): MapChange[] {
  const found: MapChange[] = [];
  for (const [map, entries] of after) {
    const old = before.get(map) ?? new Map<string, string>();
    for (const [key, value] of entries) {
      const was = old.get(key);
      if (was === undefined) found.push({ map, key, after: value });
      else if (was !== value) found.push({ map, key, before: was, after: value });
    }
    for (const [key, value] of old) if (!entries.has(key)) found.push({ map, key, before: value });
  }
  return found;
}
