import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ciliate, ciliateHere } from './ciliate.ts';

const FIXTURES = 'packages/vm/test/fixtures';
const MAPS = `${FIXTURES}/maps.bpf.o`;
const PACKET = `ffffffffffff0000000000000800${'00'.repeat(106)}`;
const run = (...args: string[]) => ciliateHere('bpf', ...args);

test('bpf test prints as a test runner does, and answers 1 if a test failed', async () => {
  const { code, stdout } = await ciliate('bpf', 'test', `${FIXTURES}/suite.bpf.o`);
  expect(code).toBe(1);
  expect(stdout).toContain('    PASS 10_first (part PASS)\n');
  expect(stdout).toContain('    FAIL 2_third (part FAIL)\n        part: f:1: saw 9029\n');
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('3 passed, 2 failed, 1 skipped');
});

test('bpf test --json has each phase of each test', async () => {
  const { stdout } = await ciliate('bpf', 'test', `${FIXTURES}/suite.bpf.o`, '--json');
  const { objects, passed } = JSON.parse(stdout);
  expect(passed).toBe(3);
  expect(objects['suite.bpf.o'].tests[1].setup).toMatchObject({ status: 7, data: { len: 60 } });
});

test('bpf prog run says answer, packet and what changed in maps', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'ciliate-')), 'maps.json');
  writeFileSync(file, JSON.stringify({ hash: [`${'aa'.repeat(8)}=${'bb'.repeat(16)}`] }));
  const { code, stdout } = await run(
    'prog',
    'run',
    MAPS,
    '--prog',
    'hash_map',
    '--packet',
    PACKET,
    '--map',
    file,
    '--json',
  );
  const { status, packet, changes } = JSON.parse(stdout);
  expect([code, status, packet.length]).toEqual([0, 0, PACKET.length]);
  expect(changes).toContainEqual({ map: 'hash', key: '0200000002000000', after: '05000000000000000700000000000000' });
  expect(changes.some(({ key }: { key: string }) => key === 'aa'.repeat(8))).toBe(false);
});

test('bpf prog run --step names what registers hold', async () => {
  const { stdout } = await run('prog', 'run', MAPS, '--prog', 'globals', '--packet', PACKET, '--step');
  expect(stdout).toMatch(/^; globals \.\/maps\.bpf\.c:\d+: counter \+= step;$/m);
  expect(stdout).toMatch(/^ +0: r6 = r1 +r6 = context$/m);
  expect(stdout).toMatch(/r1 = \.rodata \+ 0 ll +r1 = \.rodata$/m);
});

test('bpf prog run --break tells registers at a source line only', async () => {
  const line = /maps\.bpf\.c:(\d+): started/.exec((await run('prog', 'dump', MAPS, '--prog', 'globals')).stdout)![1]!;
  const { stdout } = await run(
    'prog',
    'run',
    MAPS,
    '--prog',
    'globals',
    '--packet',
    PACKET,
    '--break',
    `maps.bpf.c:${line}`,
  );
  expect(stdout).toMatch(/started \+= counter;\n {8}r0 = 0\n {8}r1 = 2\n {8}r2 = \.bss\n {8}r3 = 2\n/);
  expect(stdout).not.toContain('r6 = r1');
});

const wrong: [name: string, args: string[], message: RegExp][] = [
  ['no such file', ['test', 'nowhere.o'], /^nowhere\.o: no such file$/m],
  ['no object file', ['prog', 'dump', 'package.json'], /^package\.json: not an ELF file$/m],
  [
    'no such program',
    ['prog', 'run', MAPS, '--prog', 'hash', '--packet', PACKET],
    /no program hash for tc or XDP; it has .*hash_map/,
  ],
  [
    'a packet too short',
    ['prog', 'run', MAPS, '--prog', 'hash_map', '--packet', '00'],
    /a packet has at least 14 bytes/,
  ],
  ['no packet', ['prog', 'run', MAPS, '--prog', 'hash_map', '--packet', 'xyz'], /neither bytes in hex nor a file/],
];
test.each(wrong)('bad input: %s', async (_name, args, message) => {
  const { code, stderr } = await run(...args);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test.each([
  ['an engine under the policy map', 'policies=tuple-space', 0, 'answer  0'],
  ['an engine that is not known', 'policies=tuple-spce', 2, 'did you mean "tuple-space"?'],
  ['an engine under a map that is not there', 'policy=linear', 2, 'bench.bpf.o: no map policy; it has'],
  ['no name of a map', 'linear', 2, 'want MAP=ENGINE'],
])('bpf prog run --map-engine: %s', async (_case, engine, code, text) => {
  const args = ['--prog', 'fill', '--packet', PACKET, '--map-engine', engine];
  const ran = await ciliate('bpf', 'prog', 'run', `${FIXTURES}/bench.bpf.o`, ...args);
  expect(ran.code).toBe(code);
  expect(ran.stdout + ran.stderr).toContain(text);
});
