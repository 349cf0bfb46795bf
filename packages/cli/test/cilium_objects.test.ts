import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildObjects, readObjects } from '../src/cilium_objects.ts';
import { ciliateHere, ROOT } from './ciliate.ts';

const OBJECT = join(ROOT, 'packages/vm/test/fixtures/datapath.bpf.o');
const [SCENARIO] = gunzipSync(readFileSync(join(ROOT, 'packages/bpf/test/fixtures/scenarios.jsonl.gz')))
  .toString()
  .split('\n')
  .map((line) => (line === '' ? undefined : JSON.parse(line)));

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ciliate-objects-'));
  file = join(folder, 'one.jsonl');
  writeFileSync(file, `${JSON.stringify(SCENARIO)}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const packets = (): number => SCENARIO.steps.filter(({ op }: { op: string }) => op === 'packet').length;

test('objects that do something else than was recorded are shown beside the recording and our programs', async () => {
  const here = join(folder, SCENARIO.config.name);
  mkdirSync(here);
  for (const program of ['lxc', 'host']) copyFileSync(OBJECT, join(here, `bpf_${program}.o`));
  const { code, stdout } = await ciliateHere('conformance', 'datapath', '--objects', folder, file);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^ {2}objects {2,}mark: 10001$/m);
  expect(stdout).toMatch(/^ {2}recorded {2,}mark: \d+$/m);
  expect(stdout).toMatch(/^objects: from-container +0\/\d+$/m);
  expect(stdout).toMatch(new RegExp(`^agree ${packets()}/${2 * packets()}$`, 'm'));
});

test('a configuration without objects does not agree', async () => {
  const { code, stdout } = await ciliateHere('conformance', 'datapath', '--objects', join(folder, 'none'), file);
  expect(code).toBe(1);
  expect(stdout).toMatch(new RegExp(`^no objects of ${SCENARIO.config.name} +0/${packets()}$`, 'm'));
});

test('--build without --objects is refused', async () => {
  const { code, stderr } = await ciliateHere('conformance', 'datapath', '--build', folder, file);
  expect([code, stderr]).toEqual([2, '--build needs --objects\n']);
});

/** A checkout of three programs that tell what they were compiled with. */
function checkout(): string {
  const root = join(folder, 'checkout');
  mkdirSync(join(root, 'bpf/include'), { recursive: true });
  const header = [
    '#pragma once',
    '#define HOST_EP_ID 1',
    '#define MTU 1',
    '#ifdef ENABLE_IPV4',
    '#define IPV4_GATEWAY 1',
  ];
  writeFileSync(join(root, 'bpf/node_config.h'), `${[...header, '#endif', ''].join('\n')}`);
  const value = (name: string): string => `const volatile unsigned int ${name.toLowerCase()} = ${name};`;
  for (const program of ['bpf_lxc', 'bpf_host'])
    writeFileSync(
      join(root, `bpf/${program}.c`),
      [
        '#include <node_config.h>',
        ...['HOST_EP_ID', 'MTU', 'IPV4_GATEWAY', 'CONNTRACK_ACCOUNTING'].map(value),
        '',
      ].join('\n'),
    );
  return root;
}

const hasClang = ((): boolean => {
  try {
    return execFileSync('clang', ['--target=bpf', '--version'], { stdio: 'ignore' }) === null;
  } catch {
    return false;
  }
})();

test.skipIf(!hasClang)('--build compiles a configuration with the constants of its node (needs clang)', () => {
  const out = join(folder, 'built');
  const scenario = { ...SCENARIO, config: { name: 'one', defines: ['ENABLE_IPV4'] } };
  buildObjects(checkout(), out, scenario);
  const { lxc } = readObjects(out, 'one')!;
  const word = (name: string): number => {
    const { section, at } = lxc.variables.get(name)!;
    return new DataView(Uint8Array.from(lxc.data.get(section)!.bytes).buffer).getUint32(at, true);
  };
  expect([word('host_ep_id'), word('mtu'), word('conntrack_accounting')]).toEqual([SCENARIO.node.host_ep_id, 1500, 1]);
  expect(word('ipv4_gateway')).toBe(0xfe01f40a); // 10.244.1.254
  const off = { ...scenario, config: { name: 'off', defines: ['ENABLE_IPV4', 'NO_CT_ACCT'] } };
  expect(() => buildObjects(checkout(), out, off)).toThrow(/bpf_lxc\.c, off: [\s\S]*CONNTRACK_ACCOUNTING/);
});
