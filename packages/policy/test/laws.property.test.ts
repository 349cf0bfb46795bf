import type { CiliumNetworkPolicy, NetworkPolicy } from '@ciliate/k8s';
import type { Labels, SelectorSource } from '@ciliate/labels';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EndpointPolicy, lookupMapState, PolicyRepository, resolvePolicy } from '../src/index.ts';
import { at, cacheOf, cnp, type IngressSpec, networkPolicy, pod, port, select } from './build.ts';
import { RESERVED } from './cases.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

// Few labels, ports and protocols, so that rules meet on the same keys.
const labels = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2'), { maxKeys: 2 });
const entity = fc.constantFrom('all', 'world', 'host', 'cluster', 'remote-node', 'none');
const ports = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom(0, 80, 81), fc.constantFrom('TCP' as const, 'UDP' as const, 'ANY' as const))
        .map((one) => port(...one)),
      fc.constantFrom('GET', 'PUT').map((method) => port(80, 'TCP', { method })),
    ),
    { maxLength: 2 },
  )
  .map((list) => (list.length === 0 ? undefined : list));
const rule: fc.Arbitrary<IngressSpec> = fc.oneof(
  fc.record({ endpoints: fc.array(labels, { maxLength: 2 }), ports }),
  fc.record({ entities: fc.array(entity, { minLength: 1, maxLength: 2 }), ports }),
  fc.record({ ports }),
);
type Policy = CiliumNetworkPolicy | NetworkPolicy;
const policy: fc.Arbitrary<Policy> = fc.oneof(
  fc
    .tuple(fc.uuid(), labels, fc.array(rule, { minLength: 1, maxLength: 3 }))
    .map(([name, subject, rules]) => cnp(name, subject, ...rules)),
  fc.tuple(fc.uuid(), labels, labels).map(([name, subject, peer]) => {
    const from = [{ position: at(11), podSelector: select(peer), namespaceSelector: select() }];
    return networkPolicy(name, select(subject), [{ position: at(10), from, ports: undefined }]);
  }),
);
const policies = fc.array(policy, { maxLength: 4 });

const SUBJECT = pod({ a: '1', b: '2' });
const PODS: (readonly [number, Labels])[] = [
  pod({ a: '1', b: '2' }),
  pod({ a: '1' }),
  pod({ b: '1' }),
  pod({}),
  pod({ a: '1' }, 'other'),
].map((its, index) => [1001 + index, its]);
const PEERS = [...RESERVED, ...PODS];
const FLOWS = PEERS.flatMap(([identity, its]) =>
  [1, 6, 17].flatMap((protocol) => [79, 80, 81].map((dport) => ({ identity, its, protocol, dport, egress: false }))),
);
const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 };

function resolve(list: readonly Policy[]): EndpointPolicy {
  const repository = new PolicyRepository({ clusterName: 'default' });
  for (const one of list) repository.upsert(one);
  return resolvePolicy(repository, SUBJECT, cacheOf(PODS));
}

const verdicts = ({ mapState }: EndpointPolicy): string[] =>
  FLOWS.map((flow) => {
    const entry = lookupMapState(mapState, flow);
    return entry === undefined ? 'drop' : entry.redirect ? 'redirect' : 'allow';
  });

test('the order of policies and of rules changes neither a verdict nor an entry', () => {
  const shuffled = policies.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }), fc.boolean()),
  );
  const facts = (one: EndpointPolicy): string[] =>
    [...one.mapState].map(([key, { redirect, proxyPortPriority }]) => `${key} ${redirect} ${proxyPortPriority}`).sort();
  fc.assert(
    fc.property(shuffled, ([list, other, flip]) => {
      const reordered = flip ? other.map(reverseRules) : other;
      expect(facts(resolve(reordered))).toEqual(facts(resolve(list)));
    }),
    { seed, numRuns: 150 },
  );
});

function reverseRules(one: Policy): Policy {
  if (one.kind === 'NetworkPolicy') return one;
  return { ...one, specs: one.specs.map((spec) => ({ ...spec, ingress: spec.ingress?.toReversed() })) };
}

test('for an endpoint in default deny, one more allow takes nothing away', () => {
  fc.assert(
    fc.property(policies, policy, (list, more) => {
      const before = resolve([cnp('deny', { a: '1' }, { endpoints: [] }), ...list]);
      const after = verdicts(resolve([cnp('deny', { a: '1' }, { endpoints: [] }), ...list, more]));
      for (const [index, verdict] of verdicts(before).entries()) {
        if (verdict !== 'drop') expect(after[index]).not.toBe('drop');
      }
    }),
    { seed, numRuns: 150 },
  );
});

test('a lookup in the map state says what the rules say about the flow', () => {
  fc.assert(
    fc.property(policies, (list) => {
      expect(verdicts(resolve(list))).toEqual(FLOWS.map((flow) => evaluate(list, flow)));
    }),
    { seed, numRuns: 300 },
  );
});

// The model: read the objects and ask each rule about each flow; no translation, no selectors in common, no map.

function evaluate(list: readonly Policy[], flow: (typeof FLOWS)[number]): 'allow' | 'redirect' | 'drop' {
  const selecting = list.filter((one) => subjects(one).some((subject) => matchesPod(subject, SUBJECT, 'default')));
  if (selecting.length === 0) return 'allow';
  const words = selecting.flatMap((one) =>
    one.kind === 'NetworkPolicy'
      ? [networkWord(one, flow)]
      : one.specs[0]!.ingress!.flatMap((its) => ciliumWords(its, flow)),
  );
  if (words.includes('redirect')) return 'redirect';
  return words.includes('allow') || flow.identity === 1 ? 'allow' : 'drop';
}

type Word = 'allow' | 'redirect' | undefined;

const subjects = (one: Policy): SelectorSource[] =>
  one.kind === 'NetworkPolicy' ? [one.spec.podSelector] : one.specs.map((spec) => spec.endpointSelector);

/** The one peer that the generator writes: pods with these labels in any namespace. */
function networkWord(one: NetworkPolicy, { its }: (typeof FLOWS)[number]): Word {
  const isPod = its.has('k8s', 'io.kubernetes.pod.namespace');
  return isPod && matchesLabels(one.spec.ingress![0]!.from![0]!.podSelector!, its) ? 'allow' : undefined;
}

function ciliumWords(
  its: NonNullable<CiliumNetworkPolicy['specs'][0]['ingress']>[0],
  flow: (typeof FLOWS)[number],
): Word[] {
  const { fromEndpoints, fromEntities, toPorts } = its;
  if (fromEndpoints?.length === 0) return [];
  const named = fromEndpoints !== undefined || fromEntities !== undefined;
  const peer =
    (fromEndpoints ?? []).some((one) => matchesPod(one, flow.its, 'default')) ||
    (fromEntities ?? []).some((one) => isEntity(one, flow.its));
  if (toPorts === undefined) return [named && peer ? 'allow' : undefined];
  if (named && !peer) return [];
  return toPorts.flatMap(({ ports: list, rules }) =>
    list.map(({ port: number, protocol }): Word => {
      const protocols: number[] = protocol === 'ANY' ? Object.values(PROTOCOLS) : [PROTOCOLS[protocol]];
      if (!protocols.includes(flow.protocol) || !['0', String(flow.dport)].includes(number)) return undefined;
      return rules?.http?.length ? 'redirect' : 'allow';
    }),
  );
}

const matchesLabels = (source: SelectorSource, its: Labels): boolean =>
  Object.entries(source.matchLabels).every(([key, value]) => its.get(key)?.value === value);

const matchesPod = (source: SelectorSource, its: Labels, namespace: string): boolean =>
  its.get('io.kubernetes.pod.namespace')?.value === namespace && matchesLabels(source, its);

function isEntity(entityName: string, its: Labels): boolean {
  const reserved = [...its].filter(({ source }) => source === 'reserved').map(({ key }) => key);
  switch (entityName) {
    case 'all':
      return true;
    case 'world':
      return reserved.some((key) => key.startsWith('world'));
    case 'cluster':
      return !reserved.some((key) => key.startsWith('world'));
    default:
      return reserved.includes(entityName);
  }
}

test('the model is not blind: the generated rules drop, allow and redirect', () => {
  const seen = new Set(fc.sample(policies, { seed, numRuns: 100 }).flatMap((list) => verdicts(resolve(list))));
  expect([...seen].sort()).toEqual(['allow', 'drop', 'redirect']);
});
