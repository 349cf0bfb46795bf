import { Memory } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { createProfileMap } from '../../src/engines/map_engine.ts';
import { type Profile, ProfileVerdict } from '../../src/engines/profiles/profile.ts';
import { askProfile } from '../../src/engines/profiles/question.ts';
import { inProfile } from '../../src/engines/profiles/random_policies.ts';
import {
  type Difference,
  findDifferences,
  type Policy,
  pairsWithout,
  profileByName,
  type Reference,
} from '../../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? 1);
console.log(`seed ${seed}`);
const found = findDifferences({ seed, trials: 20_000 });
const named = ({ older, newer, kind, needs }: Difference): string =>
  `${older} -> ${newer} ${kind}${needs.map((need) => ` (${need})`).join('')}`;

test('what is known to differ between the releases is found', () => {
  expect(found.map(named)).toEqual(
    expect.arrayContaining([
      '1.12 -> 1.13 verdict',
      '1.12 -> 1.13 lookups',
      '1.13 -> 1.15 verdict',
      '1.13 -> 1.15 lookups',
      '1.13 -> 1.15 verdict (authentication)',
      '1.15 -> 1.16 verdict (port ranges)',
      '1.15 -> 1.16 lookups (port ranges)',
      '1.16 -> 1.17 verdict',
      '1.16 -> 1.17 lookups',
      '1.18-cookie -> 1.19 verdict',
      '1.18-cookie -> 1.19 verdict (priority levels)',
      '1.18-cookie -> 1.19 lookups (priority levels)',
    ]),
  );
});

test('releases with the same lookup show no difference', () => {
  expect(pairsWithout(found)).toEqual([
    ['1.17', '1.18'],
    ['1.18', '1.18-cookie'],
  ]);
});

test('the same seed finds the same', () => {
  expect(findDifferences({ seed, trials: 500 })).toEqual(findDifferences({ seed, trials: 500 }));
});

test.each(found.map((one) => [named(one), one] as const))(
  '%s: the maps answer as shown, and no entry is too many',
  (_name, one) => {
    const [older, newer] = [profileByName(one.older), profileByName(one.newer)];
    expect(answer(older, one)).toEqual(plain(one.answers.older));
    expect(answer(newer, one)).toEqual(plain(one.answers.newer));
    for (const i of one.rules.keys()) {
      const fewer = { rules: one.rules.toSpliced(i, 1), packet: one.packet };
      expect(kindOf(answer(older, fewer), answer(newer, fewer))).not.toBe(one.kind);
    }
  },
);

function kindOf({ lookups: before, ...older }: Plain, { lookups: after, ...newer }: Plain): string | undefined {
  if (JSON.stringify(older) !== JSON.stringify(newer)) return 'verdict';
  return before === after ? undefined : 'lookups';
}

interface Plain {
  ret: number;
  proxyPort: number;
  authType: number;
  lookups: number;
}
const plain = ({ ret, proxyPort, authType, hits }: ReturnType<Reference['ask']>): Plain => ({
  ret: Math.min(ret, 0),
  proxyPort,
  authType,
  lookups: hits.length,
});

/** By the profile's own function on a real map, not by the reference that the search asks. */
function answer(profile: Profile, { rules, packet }: Policy): Plain {
  const memory = Memory.create(1024 * 1024);
  const map = createProfileMap(memory, profile, 16);
  const [key, value] = [memory.alloc(16), memory.alloc(32)];
  for (const rule of rules) {
    memory.u8.fill(0, value, value + 32);
    profile.writeKey(memory, key, inProfile(rule, profile.knows));
    profile.writeValue(memory, value, inProfile(rule, profile.knows));
    expect(map.update(key, value)).toBe(0);
  }
  const out = new ProfileVerdict();
  let lookups = 0;
  const counting = { lookup: (at: number) => map.lookup(at + 0 * lookups++) };
  const ret = Math.min(0, askProfile(memory, profile, counting, key, packet, out));
  return { ret, proxyPort: out.proxyPort, authType: out.authType, lookups };
}
