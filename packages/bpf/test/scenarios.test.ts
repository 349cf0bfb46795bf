import { expect, test } from 'vitest';
import { runScenario } from '../src/index.ts';
import { differences, scenarios } from './scenarios.ts';

/**
 * What Cilium's programs did in a kernel with the same packets: return codes, rewritten packets, marks, redirects, tunnel
 * keys, events byte for byte (but for the place in Cilium's sources that drops name), conntrack, NAT, affinity,
 * fragments, neighbours, metrics and policy statistics.
 */
test.each(scenarios.map((scenario) => [`${scenario.config.name}: ${scenario.name}`, scenario] as const))(
  'as the kernel did, %s',
  (_, scenario) => {
    const wrong = runScenario(scenario).filter(({ agrees }) => !agrees);
    expect(wrong.map((step) => [step.index, differences(step)])).toEqual([]);
  },
);

test('the sample has every configuration, and both families', () => {
  const configs = new Set(scenarios.map(({ config }) => config.name));
  expect([...configs].sort()).toEqual(
    [
      ...['audit', 'eproutes', 'hostrouting', 'kubeproxy', 'kubeproxy-vxlan', 'l7lb', 'maglev', 'masq', 'native'],
      ...['native-noagg', 'socketlb', 'v4only', 'vxlan', 'vxlan-noagg'],
    ].sort(),
  );
  expect(scenarios.some(({ name }) => name.endsWith('v6'))).toBe(true);
});

test('a wrong answer is found: the comparison is not empty', () => {
  const scenario = structuredClone(scenarios.find(({ name }) => name.startsWith('tcp-local'))!);
  const step = scenario.steps.find((one) => one.op === 'packet')!;
  step.expect.mark_out += 1;
  const wrong = runScenario(scenario).filter(({ agrees }) => !agrees);
  expect(wrong.flatMap(differences)).toEqual([expect.stringMatching(/^mark: /)]);
});
