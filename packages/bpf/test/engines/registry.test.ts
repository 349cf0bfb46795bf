import { Memory } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { ENGINES, engineByName, PROFILES, profileByName } from '../../src/index.ts';

test("each engine has a name of its own, the first one is the datapath's, and each follows a known profile", () => {
  const names = ENGINES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(engineByName('lpm-trie')).toBe(ENGINES[0]);
  for (const { profile } of ENGINES) expect(PROFILES.map(({ name }) => name)).toContain(profile);
});

test.each([
  ['lmp-trie', 'engine "lmp-trie" is not known, did you mean "lpm-trie"?'],
  ['quantum', 'engine "quantum" is not known. There are: lpm-trie'],
])('engine %s is refused with what there is', (name, message) => {
  expect(() => engineByName(name)).toThrow(message);
  expect(() => engineByName(name)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
});

test('a release without vectors is refused by name', () => {
  expect(() => profileByName('1.20')).toThrow('profile 1.20 is not modelled');
  expect(() => profileByName('1.14')).toThrow('take 1.15');
  expect(profileByName('1.18-dev').name).toBe('1.18');
});

test('WebAssembly runs on a memory that another thread created, if that was given as such', () => {
  const memory = Memory.create(1024 * 1024);
  const { create } = engineByName('compiled');
  create(Memory.attach(memory.wasm), [], 1).destroy();
  expect(() => create(Memory.attach(memory.buffer), [], 1)).toThrow('attach to Memory.wasm');
});
