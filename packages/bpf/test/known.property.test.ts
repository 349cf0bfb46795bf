import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { knownCode } from '../assembly/compile.ts';
import type { PacketInput, Scenario } from '../src/conformance/scenario.ts';
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

/** The longest one of each configuration; IPv6 goes the long way. */
const chosen = [
  ...Map.groupBy(
    scenarios.filter(({ name }) => !name.endsWith('v6')),
    ({ config }) => config.name,
  ).values(),
].map((group) => group.reduce((best, one) => (packetsOf(one).length > packetsOf(best).length ? one : best)));

const TCP_FLAGS = [0x10, 0x10, 0x10, 0x18, 0x02, 0x12, 0x11, 0x04];
const PORTS = [80, 81, 443, 8080, 8472, 30_080, 40_000, 40_001];

/** A packet of one of few connections, so that most are known. */
function ofAConnection(random: Random, recorded: readonly PacketInput[]): PacketInput {
  const base = random.of(recorded);
  const frame = frameOf(base);
  const isTcp = frame[23] === 6;
  if (frame.length < 54 || frame[12] !== 8 || frame[13] !== 0 || (!isTcp && frame[23] !== 17)) return base;
  if (isTcp) frame[47] = random.of(TCP_FLAGS);
  if (random.oneIn(4)) new DataView(frame.buffer).setUint16(34 + 2 * random.below(2), random.of(PORTS));
  if (random.oneIn(20)) frame.set(random.of(recorded.map(frameOf)).subarray(26, 34), 26);
  return withFrame(base, frame);
}

const EVERY = 50;

function play(scenario: Scenario, random: Random, count: number): Set<number> {
  const twins = new Twins(scenario, undefined, true);
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
      expect(seen.size).toBeGreaterThan(1);
    });
  },
);

test('a short way that counts a packet as a byte longer is found out', () => {
  const { fromPod } = Known.prototype;
  Known.prototype.fromPod = function (skb, ep, now) {
    skb.len++;
    const answer = fromPod.call(this, skb, ep, now);
    skb.len--;
    return answer;
  };
  try {
    const scenario = scenarios.find(({ name, config }) => name.startsWith('tcp-local') && config.name === 'native')!;
    expect(() => play(scenario, new Random(seed), 0)).toThrow('the long way');
  } finally {
    Known.prototype.fromPod = fromPod;
  }
});

test('the code in the repository is what its source compiles to', async () => {
  expect(readFileSync(new URL('../src/lib/known_code.ts', import.meta.url), 'utf8')).toBe(await knownCode());
});
