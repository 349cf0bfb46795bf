import { readFileSync } from 'node:fs';
import { IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import { describe, expect, test } from 'vitest';
import { knownCode } from '../assembly/compile.ts';
import type { PacketInput, Scenario } from '../src/conformance/scenario.ts';
import { CTX_ACT_DROP, CTX_ACT_OK, CTX_ACT_REDIRECT } from '../src/index.ts';
import { Known } from '../src/lib/known.ts';
import { frameOf, packetsOf, randomInput, withFrame } from './fuzz/mutate.ts';
import { Twins } from './fuzz/twins.ts';
import { fuzzRuns, Random } from './random.ts';
import { scenarios } from './scenarios.ts';

/**
 * Packets whose lookups are made in one call of WebAssembly end as those whose lookups the programs make one by one: same
 * answers, frames, marks, events; same maps and counters.
 */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const family = ({ name }: Scenario): string => (name.endsWith('v6') ? 'v6' : 'v4');
/** What a scenario is about: the name up to the configuration's. */
const subject = ({ name, config }: Scenario): string => name.split(`-${config.name}`)[0]!.replace(/-?\d+$/, '');

const longestOf = (groups: (scenario: Scenario) => string): Scenario[] =>
  [...Map.groupBy(scenarios, groups).values()].map((group) =>
    group.reduce((best, one) => (packetsOf(one).length > packetsOf(best).length ? one : best)),
  );

/** The longest one of each configuration and of each subject, for both families. */
const chosen = [
  ...new Set([
    ...longestOf((one) => `${one.config.name} ${family(one)}`),
    ...longestOf((one) => `${subject(one)} ${family(one)}`),
  ]),
];

/** How many packets each program of WebAssembly was asked about, and how many it took. */
const asked = { fromContainer: 0, fromOverlay: 0, lxcPolicy: 0 };
const taken = { fromContainer: 0, fromOverlay: 0, lxcPolicy: 0 };
for (const name of Object.keys(taken) as (keyof typeof taken)[]) {
  const method = Known.prototype[name] as (...args: unknown[]) => number;
  Known.prototype[name] = function (this: Known, ...args: unknown[]) {
    const answer = method.apply(this, args);
    asked[name]++;
    if (answer >= 0) taken[name]++;
    return answer;
  } as never;
}

const TCP_FLAGS = [0x10, 0x10, 0x10, 0x18, 0x02, 0x12, 0x11, 0x04];
const PORTS = [80, 81, 443, 8080, 8472, 30_080, 40_000, 40_001];

/** A packet of one of few connections, so that most are known. */
function ofAConnection(random: Random, recorded: readonly PacketInput[]): PacketInput {
  const base = random.of(recorded);
  const frame = frameOf(base);
  const isV6 = frame[12] === 0x86;
  const protocol = frame[isV6 ? 20 : 23];
  const isTcp = protocol === IPPROTO_TCP;
  const l4 = isV6 ? 54 : 34;
  if (frame.length < l4 + 20 || (!isV6 && frame[12] !== 8) || (!isTcp && protocol !== IPPROTO_UDP)) return base;
  if (isTcp) frame[l4 + 13] = random.of(TCP_FLAGS);
  if (random.oneIn(4)) new DataView(frame.buffer).setUint16(l4 + 2 * random.below(2), random.of(PORTS));
  if (random.oneIn(4)) new DataView(frame.buffer).setUint16(l4, 40_000 + random.below(200));
  if (random.oneIn(20)) {
    const [from, to] = isV6 ? [22, 54] : [26, 34];
    const other = random.of(recorded.map(frameOf));
    if (other.length >= to) frame.set(other.subarray(from, to), from);
  }
  return withFrame(base, frame);
}

/** What programs answered, in all scenarios. */
const verdicts = new Set<number>();
const EVERY = 50;
/** Maps that are never full, and such as give up entries all the time. */
const SIZES = [
  {},
  {
    ...{ cilium_ct4_global: 48, cilium_ct_any4_global: 48, cilium_ct6_global: 48, cilium_ct_any6_global: 48 },
    ...{ cilium_lb4_affinity: 4, cilium_lb6_affinity: 4 },
  },
];

function play(scenario: Scenario, random: Random, count: number): Set<number> {
  const twins = new Twins(scenario, undefined, true, random.of(SIZES));
  const seen = new Set<number>();
  const recorded = packetsOf(scenario);
  for (const step of scenario.steps) {
    if (step.op === 'advance_clock') twins.advance(step.seconds);
    else if (step.op === 'map_set') twins.set(step.map, step.key_hex, step.value_hex);
    else if (step.op === 'map_delete') twins.delete(step.map, step.key_hex);
    else seen.add(twins.send(step));
  }
  twins.compareMaps();
  for (let i = 0; i < count; i++) {
    if (random.oneIn(20)) twins.advance(random.of([1, 4, 6, 61, 8001]));
    const input = random.oneIn(8) ? randomInput(random, scenario, recorded) : ofAConnection(random, recorded);
    seen.add(twins.send(input));
    if (i % EVERY === 0) twins.compareMaps();
  }
  twins.compareMaps();
  return seen;
}

describe.each(chosen.map((scenario, n) => [`${scenario.config.name}: ${scenario.name}`, scenario, n] as const))(
  '%s',
  (_, scenario, n) => {
    test('the short way and the long way end alike', () => {
      const seen = play(scenario, new Random(seed + n), Math.ceil(fuzzRuns / 10 / chosen.length));
      expect(seen.size).toBeGreaterThan(0);
      for (const verdict of seen) verdicts.add(verdict);
    });
  },
);

test('each program took many of these packets, and they ended in each way', () => {
  expect(verdicts).toEqual(new Set([CTX_ACT_OK, CTX_ACT_DROP, CTX_ACT_REDIRECT]));
  console.log('taken', taken, 'of', asked);
  expect(taken.fromContainer).toBeGreaterThan(asked.fromContainer / 4);
  expect(taken.fromOverlay).toBeGreaterThan(asked.fromOverlay / 50);
  expect(taken.lxcPolicy).toBeGreaterThan(asked.lxcPolicy / 50);
});

test('a short way that counts a packet as a byte longer is found out', () => {
  const { fromContainer } = Known.prototype;
  Known.prototype.fromContainer = function (dp, ep, skb) {
    skb.len++;
    const answer = fromContainer.call(this, dp, ep, skb);
    skb.len--;
    return answer;
  };
  try {
    const scenario = scenarios.find(({ name, config }) => name.startsWith('tcp-local') && config.name === 'native')!;
    expect(() => play(scenario, new Random(seed), 0)).toThrow(/decides|the long way/);
  } finally {
    Known.prototype.fromContainer = fromContainer;
  }
});

test('the code in the repository is what its source compiles to', async () => {
  expect(readFileSync(new URL('../src/lib/known_code.ts', import.meta.url), 'utf8')).toBe(await knownCode());
});
