import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { forbiddenImports } from './rooms.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rooms-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function room(name: string, dependencies: string[], source: string): void {
  mkdirSync(join(root, 'packages', name, 'src'), { recursive: true });
  const named = Object.fromEntries(dependencies.map((dependency) => [`@ciliate/${dependency}`, 'workspace:*']));
  writeFileSync(join(root, 'packages', name, 'package.json'), JSON.stringify({ dependencies: named }));
  writeFileSync(join(root, 'packages', name, 'src', 'index.ts'), source);
}

test('this repository has no import that points upwards', () => {
  expect(forbiddenImports(fileURLToPath(new URL('..', import.meta.url)))).toEqual([]);
});

test('a room may import one below it that its package.json names', () => {
  room('bpf', ['maps'], `import { Memory } from '@ciliate/maps';`);
  expect(forbiddenImports(root)).toEqual([]);
});

test('an import of a room above is found in the source and in package.json', () => {
  room('maps', ['bpf'], `export { Datapath } from '@ciliate/bpf';`);
  expect(forbiddenImports(root)).toEqual([
    expect.stringContaining('package.json: maps imports bpf, which is above it'),
    expect.stringContaining('index.ts: maps imports bpf, which is above it'),
  ]);
});

test('an import that package.json does not name is found, also when it is dynamic', () => {
  room('bpf', [], `const maps = await import('@ciliate/maps');`);
  expect(forbiddenImports(root)).toEqual([expect.stringContaining('does not name')]);
});

test('a relative import that leaves the package is found, one inside it is not', () => {
  room('maps', [], '');
  room('bpf', ['maps'], `import { a } from './a.ts';\nimport { Memory } from '../../maps/src/index.ts';`);
  expect(forbiddenImports(root)).toEqual([expect.stringContaining('../../maps/src/index.ts leaves the package')]);
});

test('a package that is no room is found', () => {
  room('extras', [], '');
  expect(forbiddenImports(root)).toEqual([expect.stringContaining('extras is not a room')]);
});
