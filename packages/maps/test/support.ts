import { type Address, type BpfMap, Memory } from '../src/index.ts';

/** Seed of this run's property tests; printed, so that a run can be repeated with CILIATE_SEED. */
export const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

export const MIB = 1024 * 1024;

/** A memory and a place in it for one key, one value and one more key. */
export class Bench {
  readonly memory = Memory.create(16 * MIB);
  readonly key: Address = this.memory.alloc(512);
  readonly value: Address = this.memory.alloc(512);
  readonly next: Address = this.memory.alloc(512);

  bytes(at: Address, size: number): number[] {
    return [...this.memory.u8.subarray(at, at + size)];
  }
  put(at: Address, bytes: Iterable<number>): Address {
    this.memory.u8.set([...bytes], at);
    return at;
  }
  update(map: BpfMap, key: Iterable<number>, value: Iterable<number>, flags = 0): number {
    return map.update(this.put(this.key, key), this.put(this.value, value), flags);
  }
  lookup(map: BpfMap, key: Iterable<number>): number[] | undefined {
    const at = map.lookup(this.put(this.key, key));
    return at === 0 ? undefined : this.bytes(at, map.spec.valueSize);
  }
  delete(map: BpfMap, key: Iterable<number>): number {
    return map.delete(this.put(this.key, key));
  }
  /** All keys, walked by getNextKey as bpftool does. */
  keys(map: BpfMap): number[][] {
    const size = map.spec.keySize;
    const found: number[][] = [];
    for (let at = 0; map.getNextKey(at, this.next) === 0; at = this.key) {
      found.push(this.bytes(this.next, size));
      this.put(this.key, this.bytes(this.next, size));
      if (found.length > 100_000) throw new Error('getNextKey does not end');
    }
    return found;
  }
}

/** Bytes of an LPM key: u32 prefixlen, little-endian, then the data. */
export const lpmKey = (prefixlen: number, data: number[]): number[] => [
  prefixlen & 0xff,
  (prefixlen >>> 8) & 0xff,
  (prefixlen >>> 16) & 0xff,
  prefixlen >>> 24,
  ...data,
];

/** What `work` throws. */
export function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
