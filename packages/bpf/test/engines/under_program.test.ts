import { readFileSync } from 'node:fs';
import { LpmTrie, Memory, POLICY_FULL_PREFIX_BITS, POLICY_KEY, setPolicyKey } from '@ciliate/maps';
import { type LookupEngineMaker, loadObject, testRun, Vm } from '@ciliate/vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { prefixBits } from '../../src/engines/entry_key.ts';
import { BpfInputError, ENGINES, type EngineKey, underProgram } from '../../src/index.ts';
import { asked, key } from './support.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const OBJECT = readFileSync(new URL('../../../vm/test/fixtures/bench.bpf.o', import.meta.url));
/** TCP from 10.0.0.1 to 10.0.1.8, of a connection that `fill` makes. */
const PACKET = Buffer.concat([
  Buffer.from('0200000000010200000000020800450000640001000040060000' + '0a0000010a0001089c480050', 'hex'),
  Buffer.alloc(80),
]);
const PROGRAMS = ['policy_drop', 'policy_drop_event', 'established', 'translate', 'fill', 'established'];
const NAMES = ENGINES.map(({ name }) => name);

/** What the programs answer, before `fill` has written the policy map and after it, and what is then in the maps. */
function play(vmEngine: 'compiled' | 'interpreter' | 'checked', lookupEngines: Map<string, LookupEngineMaker>) {
  const vm = new Vm({ engine: vmEngine, lookupEngines, memory: Memory.create(64 * 1024 * 1024) });
  const image = vm.load(loadObject(OBJECT, 'bench'));
  const answers = ['established', 'fill', ...PROGRAMS].map((program) => {
    const { status, data } = testRun(vm, image.functions.get(program)!, 'tc', PACKET);
    return `${program} ${status} ${Buffer.from(data).toString('hex')}`;
  });
  const { u8 } = vm.machine.memory;
  const metrics = [...image.maps.get('metrics')!.entries()].map(({ value }) => `${u8.slice(value, value + 16)}`);
  return { answers, metrics };
}

test.each(NAMES.flatMap((name) => (['compiled', 'checked', 'interpreter'] as const).map((vm) => [name, vm] as const)))(
  'programs answer the same with %s under their policy map: %s',
  (name, vm) => {
    const wanted = play(vm, new Map());
    expect(play(vm, new Map([['policies', underProgram(name)]]))).toEqual(wanted);
    expect(new Set(wanted.answers.map((answer) => answer.split(' ')[1])).size).toBeGreaterThan(2);
  },
);

const MEMORY = Memory.create(256 * 1024 * 1024);

/** A policy map with these keys, as a user's file may fill it: the value is the number of the entry. */
function trieOf(keys: readonly EngineKey[], shortest: boolean): LpmTrie {
  const trie = LpmTrie.create(MEMORY, { keySize: POLICY_KEY.size, valueSize: 8, maxEntries: 256, name: 'policy' });
  const at = MEMORY.alloc(24);
  for (const [i, { identity, egress, protocol, dport, ...rest }] of keys.entries()) {
    const bits = 40 + prefixBits({ identity, egress, protocol, dport, ...rest });
    setPolicyKey(MEMORY, at, bits, identity, egress ? 1 : 0, protocol, dport);
    MEMORY.u32[(at + 16) >> 2] = i;
    expect(trie.update(at, at + 16)).toBe(0);
  }
  if (shortest) {
    setPolicyKey(MEMORY, at, 0, 0, 0, 0, 0);
    trie.update(at, at + 16);
  }
  MEMORY.free(at, 24);
  return trie;
}

test.each(NAMES)('%s finds the entries that the map itself finds, or refuses the map', (name) => {
  let answered = 0;
  const at = MEMORY.alloc(16);
  const make = underProgram(name);
  fc.assert(
    fc.property(
      fc.array(key, { maxLength: 20 }),
      fc.array(asked, { minLength: 5 }),
      fc.boolean(),
      (keys, all, short) => {
        const trie = trieOf(keys, short);
        const engine = make(trie);
        try {
          for (const { identity, egress, protocol, dport, isFragment } of all) {
            const bits = isFragment ? POLICY_FULL_PREFIX_BITS - 16 : POLICY_FULL_PREFIX_BITS;
            setPolicyKey(MEMORY, at, bits, identity, egress ? 1 : 0, protocol, dport);
            expect(engine.lookup(at)).toBe(trie.lookup(at));
            answered++;
          }
        } catch (error) {
          if (!(error instanceof BpfInputError)) throw error;
        } finally {
          engine.changed();
          trie.destroy();
        }
      },
    ),
    { seed, numRuns: 200 },
  );
  MEMORY.free(at, 16);
  expect(answered).toBeGreaterThan(0);
});

test('an engine of a release without port ranges is refused by name where the map has one', () => {
  const range = { egress: false, identity: 7, protocol: 6, dport: 64, portPrefixLen: 10 };
  const engine = underProgram('hash-fallback-1.13')(trieOf([range], false));
  const at = MEMORY.alloc(16);
  setPolicyKey(MEMORY, at, POLICY_FULL_PREFIX_BITS, 7, 0, 6, 64);
  expect(() => engine.lookup(at)).toThrow(
    'map policy: engine hash-fallback-1.13 (1.13) finds another entry for identity 7, ingress, protocol 6, port 127',
  );
});

test('an engine under a map that is no policy map is refused', () => {
  const vm = new Vm({ lookupEngines: new Map([['services', underProgram('linear')]]) });
  expect(() => vm.load(loadObject(OBJECT, 'bench'))).toThrow('map services is no policy map');
});
