import { globSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Memory } from '@ciliate/maps';
import { describe, expect, test } from 'vitest';
import { engineEntry } from '../../src/engines/conformance/vector_runner.ts';
import {
  ENGINES,
  PROFILES,
  parseVector,
  profileByName,
  type VectorCase,
  type VectorLookup,
  VectorRunner,
} from '../../src/index.ts';
import { Asker } from './support.ts';

/** A part of what the policy functions of the releases answered: `ciliate conformance profiles` runs all of it. */
const FOLDER = new URL('../fixtures/profiles/', import.meta.url).pathname;
const vectors: VectorCase[] = globSync('*.jsonl.gz', { cwd: FOLDER }).flatMap((file) =>
  gunzipSync(readFileSync(FOLDER + file))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line, i) => parseVector(line, `${file}:${i + 1}`)),
);
const casesOf = (profile: string): VectorCase[] =>
  vectors.filter((vector) => profileByName(vector.profile).name === profile);
const memory = Memory.create(16 * 1024 * 1024);

test.each(PROFILES)('profile $name and its reference answer as the release did', ({ name }) => {
  const runner = new VectorRunner(memory);
  const cases = casesOf(name);
  expect(cases.length).toBeGreaterThan(100);
  for (const vector of cases) expect(runner.run(vector, vector.name).disagreements).toEqual([]);
});

test('a lookup that differs is reported with both sides', () => {
  const vector = structuredClone(vectors[0]!);
  vector.lookups[0]!.expect.ret = -1;
  const { agreed, lookups, disagreements } = new VectorRunner(memory).run(vector, 'here');
  expect(agreed).toBe(lookups - 1);
  expect(disagreements).toMatchObject([{ name: vector.name, lookup: 0, release: { ret: -1 } }]);
  expect(disagreements[0]!.profile).toEqual(disagreements[0]!.reference);
});

const right = JSON.stringify(vectors[0]);
test.each<[what: string, line: string, message: RegExp]>([
  ['no JSON', '{', /^f:1: not JSON/],
  ['a direction that is none', right.replace(/"dir":"\w+"/, '"dir":"up"'), /entries\[0\]\.dir: want "ingress" or/],
  ['a lookup without its answer', right.replace('"expect"', '"expects"'), /lookups\[0\]\.expect: want an object/],
  ['a profile that is misspelt', right.replace('"1.12"', '"1.121"'), /^f:1: profile "1.121".*did you mean "1.12"/],
  ['a profile without proof', right.replace('"profile":"1.12"', '"profile":"1.20"'), /^f:1: profile 1.20 is not mod/],
  ['bytes of another layout', right.replace(/"key":"../, '"key":"'), /entries\[0\]\.key: profile 1.12 has 8 bytes/],
])('%s is refused with its place', (_what, line, message) => {
  expect(() => new VectorRunner(memory).run(parseVector(line, 'f:1'), 'f:1')).toThrow(message);
});

describe.each(ENGINES)('$name', ({ create, profile }) => {
  test(`answers as release ${profile} did`, () => {
    const asker = new Asker(memory);
    let asked = 0;
    for (const { entries, icmp, lookups, name } of casesOf(profile)) {
      const engine = create(memory, entries.map(engineEntry), Math.max(1, entries.length));
      for (const lookup of lookups) {
        const question = plainQuestion(lookup, icmp === 'on');
        if (question === undefined) continue;
        asked++;
        const { ret, proxyPort, matchType, extErr = 0 } = lookup.expect;
        const want = { ret: Math.min(ret, 0), proxyPort, matchType, authType: extErr };
        expect(asker.one(engine, question), name).toEqual(want);
        if (!profile.startsWith('1.18')) expect(engine.probes, name).toBe(lookup.expect.lookups);
      }
      engine.destroy();
    }
    expect(asked).toBeGreaterThan(500);
  });
});

/** The lookup as an engine is asked, if it is one that only takes a look at the map. */
function plainQuestion(lookup: VectorLookup, icmpRules: boolean) {
  const { dir, remoteIdentity, protocol, dport, fragment, icmpType, skipMark, truncated } = lookup;
  if (skipMark || truncated || (icmpRules && lookup.expect.lookups === 0)) return undefined;
  const port = icmpRules && (protocol === 1 || protocol === 58) ? (icmpType ?? dport) : dport;
  return { egress: dir === 'egress', identity: remoteIdentity, protocol, dport: port, isFragment: fragment };
}
