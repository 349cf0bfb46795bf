import {
  type Address,
  type BpfMap,
  EBUSY,
  ENOENT,
  ENOMEM,
  HashMap,
  LpmTrie,
  type MapErrno,
  MapError,
  type Memory,
} from '@ciliate/maps';
import {
  ANSWER,
  type EngineDefinition,
  type EngineEntry,
  type EngineKey,
  FRAGMENT,
  type PolicyEngine,
  QUESTION,
  writeAnswer,
} from './engine.ts';
import { checkKey } from './entry_key.ts';
import { type Lookup, type Profile, ProfileVerdict } from './profiles/profile.ts';

/** Every lookup writes its key; two threads' keys in one pair of cache lines would be moved to and fro. */
const CACHE_LINES = 128;
const SCRATCH_BYTES = 2 * CACHE_LINES;

/** A map of this profile. @throws MapError ENOMEM */
export function createProfileMap(memory: Memory, profile: Profile, maxEntries: number): BpfMap {
  const spec = { keySize: profile.keySize, valueSize: profile.valueSize, maxEntries, name: `policy_${profile.name}` };
  return profile.map === 'hash' ? HashMap.create(memory, spec) : LpmTrie.create(memory, spec);
}

class CountedMap implements Lookup {
  lookups = 0;
  private readonly map: BpfMap;

  constructor(map: BpfMap) {
    this.map = map;
  }

  lookup(key: Address): Address {
    this.lookups++;
    return this.map.lookup(key);
  }
}

/** A profile's own policy map, asked by the profile's own policy function. */
export class MapEngine implements PolicyEngine {
  protected readonly map: BpfMap;
  protected readonly memory: Memory;
  protected readonly key: Address;
  protected readonly out = new ProfileVerdict();
  private readonly value: Address;
  private readonly scratch: Address;
  private readonly counted: CountedMap;
  private readonly profile: Profile;

  constructor(memory: Memory, profile: Profile, entries: Iterable<EngineEntry>, maxEntries: number) {
    this.memory = memory;
    this.profile = profile;
    this.map = createProfileMap(memory, profile, maxEntries);
    this.scratch = memory.alloc(SCRATCH_BYTES);
    this.key = Math.ceil(this.scratch / CACHE_LINES) * CACHE_LINES;
    this.value = this.key + 16;
    this.counted = new CountedMap(this.map);
    for (const entry of entries) this.update(entry);
  }

  get bytesUsed(): number {
    return this.map.bytesUsed;
  }

  get probes(): number {
    return this.counted.lookups;
  }

  lookup(question: Address, answer: Address): number {
    const m = this.memory;
    this.counted.lookups = 0;
    const word = m.u32[(question + QUESTION.dport) >> 2]!;
    const ret = this.profile.decide(
      m,
      this.counted,
      this.key,
      // Signed: as a number above 2^31 it would be allocated on the heap.
      m.i32[(question + QUESTION.identity) >> 2]!,
      (word >>> 24) as 0 | 1,
      (word >>> 16) & 0xff,
      word & 0xffff,
      (m.u32[(question + QUESTION.flags) >> 2]! & FRAGMENT) !== 0,
      this.out,
    );
    return writeAnswer(m, answer, ret, this.out.proxyPort, this.out.matchType, this.out.authType);
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    for (let i = 0; i < count; i++) this.lookup(questions + i * QUESTION.size, answers + i * ANSWER.size);
  }

  update(entry: EngineEntry): void {
    checkKey(entry);
    this.memory.u8.fill(0, this.value, this.value + this.profile.valueSize);
    this.profile.writeKey(this.memory, this.key, entry);
    this.profile.writeValue(this.memory, this.value, entry);
    this.check(this.map.update(this.key, this.value), 'update');
  }

  delete(key: EngineKey): void {
    checkKey(key);
    this.profile.writeKey(this.memory, this.key, key);
    this.check(this.map.delete(this.key), 'delete');
  }

  destroy(): void {
    this.map.destroy();
    this.memory.free(this.scratch, SCRATCH_BYTES);
  }

  private check(result: number, what: string): void {
    if (result === 0) return;
    const full: MapErrno = this.profile.map === 'hash' ? 'E2BIG' : 'ENOSPC';
    const code = CODES.get(-result) ?? full;
    const context = { profile: this.profile.name, maxEntries: this.map.spec.maxEntries };
    throw new MapError(code, `policy map: ${what}`, context);
  }
}

const CODES: ReadonlyMap<number, MapErrno> = new Map([
  [ENOENT, 'ENOENT'],
  [EBUSY, 'EBUSY'],
  [ENOMEM, 'ENOMEM'],
]);

/** An engine that is nothing but its profile's map. */
export const mapEngine = (name: string, profile: Profile, about: string): EngineDefinition => ({
  name,
  profile: profile.name,
  about,
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new MapEngine(memory, profile, entries, maxEntries),
});
