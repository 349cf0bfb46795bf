import { type BpfMap, LruPerCpuHashMap, PerCpuArrayMap, PerCpuHashMap } from '@ciliate/maps';
import { fault } from '../errors.ts';
import type { Machine } from '../machine/machine.ts';
import { E2BIG, EINVAL } from './errno.ts';
import type { Helper } from './helper.ts';

/** BPF_MAX_LOOPS. */
const MAX_LOOPS = 8 * 1024 * 1024;

type PerCpu = PerCpuArrayMap | PerCpuHashMap | LruPerCpuHashMap;
const isPerCpu = (map: BpfMap): map is PerCpu =>
  map instanceof PerCpuArrayMap || map instanceof PerCpuHashMap || map instanceof LruPerCpuHashMap;

/** Maps, and what goes through maps. */
export const MAP_HELPERS: readonly Helper[] = [
  {
    id: 1,
    name: 'map_lookup_elem',
    args: ['map', 'key'],
    returns: 'value',
    run: (machine, map, key) => machine.lookup(map!, key!),
  },
  {
    id: 2,
    name: 'map_update_elem',
    args: ['map', 'key', 'value', 'u64'],
    returns: 'int',
    run(machine, map, key, value, flags, high) {
      if (high !== 0) return -EINVAL;
      const result = machine.map(map!).update(key!, value!, flags);
      machine.changed(map!);
      return result;
    },
  },
  {
    id: 3,
    name: 'map_delete_elem',
    args: ['map', 'key'],
    returns: 'int',
    run(machine, map, key) {
      const result = machine.map(map!).delete(key!);
      machine.changed(map!);
      return result;
    },
  },
  {
    id: 195,
    name: 'map_lookup_percpu_elem',
    args: ['map', 'key', 'u32'],
    returns: 'value',
    run(machine, address, key, cpu) {
      const map = machine.map(address!);
      if (!isPerCpu(map)) throw fault(`${map.spec.name} is no per-CPU map`);
      return map.lookupCpu(key!, cpu!);
    },
  },
  {
    id: 164,
    name: 'for_each_map_elem',
    args: ['map', 'function', 'any', 'u64'],
    returns: 'int',
    run: (machine, map, fn, context, flags, high) =>
      flags !== 0 || high !== 0 ? -EINVAL : forEach(machine, map!, fn!, context!),
  },
  {
    id: 181,
    name: 'loop',
    args: ['u32', 'function', 'any', 'u64'],
    returns: 'int',
    run(machine, turns, fn, context, flags, high) {
      if (flags !== 0 || high !== 0) return -EINVAL;
      if (turns! > MAX_LOOPS) return -E2BIG;
      for (let i = 0; i < turns!; i++) if (machine.callFunction(fn!, i, context!, 0, 0) !== 0) return i + 1;
      return turns!;
    },
  },
];

/** fn(map, key, value, context) until it answers other than 0. @returns how many elements it saw */
function forEach(machine: Machine, address: number, fn: number, context: number): number {
  const map = machine.map(address);
  let count = 0;
  for (const { key, value } of map.entries()) {
    machine.regions.grant(key, map.spec.keySize, `key of ${map.spec.name}`);
    machine.grantValue(address, value);
    count++;
    if (machine.callFunction(fn, address, key, value, context) !== 0) break;
  }
  return count;
}
