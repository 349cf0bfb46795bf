import {
  type Address,
  ArrayMap,
  ArrayOfMaps,
  type BpfMap,
  HashMap,
  HashOfMaps,
  LpmTrie,
  LruHashMap,
  LruPerCpuHashMap,
  lookupBatch,
  MapError,
  Memory,
  PerCpuArrayMap,
  PerCpuHashMap,
  ProgArrayMap,
} from '../../src/index.ts';
import type { Kind } from './kinds.ts';

const ERRNO: Record<string, number> = { EINVAL: 22, ENOMEM: 12, E2BIG: 7 };
const MAX_STEPS = 5000;
const AREA = 4 * 1024 * 1024;

/** Our map, driven by the lines of maps.c and answering as it does. */
export class Ours {
  private readonly kind: Kind;
  private readonly memory = Memory.create(32 * 1024 * 1024);
  private readonly objects: number[] = [];
  private readonly key = this.memory.alloc(512);
  private readonly next = this.memory.alloc(512);
  private readonly keys = this.memory.alloc(AREA);
  private readonly values = this.memory.alloc(AREA);
  readonly map: BpfMap | undefined;
  /** 0, or the errno of making the map. */
  readonly created: number = 0;

  constructor(kind: Kind, maxEntries: number, cpus: number) {
    this.kind = kind;
    for (const line of kind.objects) this.objects.push(this.object(line));
    try {
      this.map = this.create(maxEntries, cpus);
    } catch (error) {
      if (!(error instanceof MapError)) throw error;
      this.created = ERRNO[error.code]!;
    }
  }

  /** @returns the answer to each line, in front of them that to making the map */
  run(lines: string[]): string[] {
    return [String(this.created), ...lines.map((line) => this.answer(line).trimEnd())];
  }

  private answer(line: string): string {
    const [op = '', ...words] = line.split(' ');
    const map = this.map!;
    if (op === 'u') return String(-this.update(Number(words[0]), words[1]!, words[2]!));
    if (op === 'l') return this.lookup(words[0]!);
    if (op === 'd') return String(-map.delete(this.put(this.key, words[0]!)));
    if (op === 'n') {
      const result = map.getNextKey(words[0] === '-' ? 0 : this.put(this.key, words[0]!), this.next);
      return `${-result} ${result === 0 ? this.hex(this.next, this.kind.keySize) : ''}`;
    }
    return op === 'w' ? this.walk() : this.batches(Number(words[0]));
  }

  private update(flags: number, key: string, value: string): number {
    const map = this.map!;
    this.put(this.key, key);
    if (value.startsWith('@')) this.memory.u32[this.values >> 2] = this.objects[Number(value.slice(1))]!;
    else this.put(this.values, value);
    if (map instanceof PerCpuHashMap || map instanceof PerCpuArrayMap)
      return map.updateAll(this.key, this.values, flags);
    return map.update(this.key, this.values, flags);
  }

  private lookup(key: string): string {
    const map = this.map!;
    this.put(this.key, key);
    const isPerCpu = map instanceof PerCpuHashMap || map instanceof PerCpuArrayMap;
    if (isPerCpu) return map.copyAll(this.key, this.values) === 0 ? `0 ${this.hex(this.values, this.valueBytes)}` : '2';
    // As bpf(2): an LRU hash is not told.
    const at = map instanceof LruHashMap ? map.peek(this.key) : map.lookup(this.key);
    if (at === 0) return '2';
    if (this.objects.length === 0) return `0 ${this.hex(at, this.kind.valueSize)}`;
    return `0 @${this.objects.indexOf(map instanceof ProgArrayMap ? this.memory.u32[at >> 2]! : at)}`;
  }

  private walk(): string {
    let text = '';
    let result = this.map!.getNextKey(0, this.next);
    for (let left = MAX_STEPS; result === 0 && left > 0; left--) {
      text += `${this.hex(this.next, this.kind.keySize)} `;
      this.memory.u8.copyWithin(this.key, this.next, this.next + this.kind.keySize);
      result = this.map!.getNextKey(this.key, this.next);
    }
    return `${text}${-result}`;
  }

  private batches(count: number): string {
    let text = '';
    for (let step = 0, result = 0; result === 0 && step < MAX_STEPS; step++) {
      const batch = {
        cursor: step === 0 ? 0 : this.next,
        next: this.next,
        keys: this.keys,
        values: this.values,
        count,
      };
      result = lookupBatch(this.map!, batch);
      if (this.objects.length > 0) {
        const found = this.memory.u32.subarray(this.values >> 2, (this.values >> 2) + batch.count);
        found.set(found.map((object) => this.objects.indexOf(object)));
      }
      text += `${-result}:${batch.count}:${this.hex(this.keys, batch.count * this.kind.keySize)}:`;
      text += `${this.hex(this.values, batch.count * this.valueBytes)} `;
    }
    return text;
  }

  private get valueBytes(): number {
    const { valueSize, cpus = 1 } = this.map!.spec;
    const isPerCpu = this.map instanceof PerCpuHashMap || this.map instanceof PerCpuArrayMap;
    return isPerCpu ? ((valueSize + 7) & ~7) * cpus : valueSize;
  }

  private create(maxEntries: number, cpus: number): BpfMap {
    const { type, keySize, valueSize } = this.kind;
    const spec = { keySize, valueSize, maxEntries, cpus };
    const m = this.memory;
    const inner = {
      type: this.kind.objects[0]?.startsWith('inner 2') ? 2 : 1,
      keySize: 4,
      valueSize: 8,
      maxEntries: 4,
    };
    const makers: Record<number, () => BpfMap> = {
      1: () => HashMap.create(m, spec),
      2: () => ArrayMap.create(m, spec),
      3: () => ProgArrayMap.create(m, spec),
      5: () => PerCpuHashMap.create(m, spec),
      6: () => PerCpuArrayMap.create(m, spec),
      9: () => LruHashMap.create(m, spec),
      10: () => LruPerCpuHashMap.create(m, spec),
      11: () => LpmTrie.create(m, spec),
      12: () => ArrayOfMaps.create(m, spec, inner),
      13: () => HashOfMaps.create(m, spec, inner),
    };
    return makers[type]!();
  }

  /** Of `inner TYPE KEY VALUE MAX FLAGS`, a map's address; of `prog`, a number. */
  private object(line: string): number {
    if (line === 'prog') return this.objects.length + 1;
    const [type, keySize = 0, valueSize = 0, maxEntries = 0] = line.split(' ').slice(1).map(Number);
    const spec = { keySize, valueSize, maxEntries };
    return (type === 2 ? ArrayMap.create(this.memory, spec) : HashMap.create(this.memory, spec)).address;
  }

  private put(at: Address, hex: string): Address {
    this.memory.u8.set(Buffer.from(hex, 'hex'), at);
    return at;
  }
  private hex(at: Address, size: number): string {
    return Buffer.from(this.memory.u8.slice(at, at + size)).toString('hex');
  }
}
