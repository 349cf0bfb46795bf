import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type EndpointPolicy, lookupMapState, PolicyRepository, resolvePolicy, SelectorCache } from '../src/index.ts';
import { identitiesOf, ingressHalf, mentionsEgress, RESERVED, sourceIdentity, type VectorCase } from './cases.ts';

// Cases computed by the real engine (fixtures/README.md). A case whose policies also speak of egress is compared on its
// ingress half, which does not depend on the other.
const cases = readFileSync(new URL('fixtures/vectors.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line): VectorCase => JSON.parse(line));

const PROTOCOLS: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58 };

function resolveAll(vector: VectorCase): Map<string, EndpointPolicy> {
  const repository = new PolicyRepository({ clusterName: vector.config.clusterName });
  for (const object of vector.policies) {
    const half = ingressHalf(object);
    if (half) repository.upsert(half);
  }
  const identities = identitiesOf(vector);
  const known = [...identities.values()].map(({ identity, labels }) => [identity, labels] as const);
  const selectorCache = new SelectorCache([...RESERVED, ...known]);
  const local = vector.endpoints.filter((endpoint) => endpoint.local).map(({ name }) => name);
  return new Map(local.map((name) => [name, resolvePolicy(repository, identities.get(name)!.labels, selectorCache)]));
}

describe.each(cases)('$name', (vector) => {
  const policies = [...resolveAll(vector)];
  const wholly = !vector.policies.some(mentionsEgress);

  test('enforcement', () => {
    for (const [name, policy] of policies) {
      const { ingress, egress } = vector.policyEnabled[name]!;
      expect(policy.ingressEnforced, name).toBe(ingress);
      if (wholly) expect(policy.egressEnforced, name).toBe(egress);
    }
  });

  test('map state', () => {
    for (const [name, policy] of policies) {
      const got = [...policy.mapState.values()].filter(({ key }) => wholly || !key.egress);
      const rows = got.map(({ key, deny, redirect, parser, proxyPortPriority }) => {
        const { egress, identity, protocol, dport, portPrefixLen } = key;
        const direction = egress ? 'egress' : 'ingress';
        return row({
          direction,
          identity,
          protocol,
          dport,
          portPrefixLen,
          deny,
          redirect,
          l7parser: parser,
          proxyPortPriority,
        });
      });
      expect(rows.sort(), name).toEqual(vector.mapstate[name]!.map(row).sort());
    }
  });

  test('L7 filters', () => {
    for (const [name, policy] of policies) {
      const got = policy.redirects.map(({ protocol, port, selectors }) => filterRow(protocol, port, selectors));
      const want = vector.l7[name]!.map(({ protocol, port, selectors }) => filterRow(protocol, port, selectors));
      expect(got.sort(), name).toEqual(want.sort());
    }
  });

  test('ingress verdicts', () => {
    const byName = new Map(policies);
    for (const { src, dst, protocol, dport, icmpType, ingress } of vector.flows) {
      const flow = { egress: false, identity: sourceIdentity(vector, src), protocol: PROTOCOLS[protocol]! };
      const entry = lookupMapState(byName.get(dst)!.mapState, { ...flow, dport: dport ?? icmpType ?? 0 });
      const verdict = entry === undefined || entry.deny ? 'deny' : entry.redirect ? 'redirect' : 'allow';
      expect(verdict, `${src} → ${dst}`).toBe(ingress.verdict);
      expect(entry?.proxyPortPriority ?? 0).toBe(ingress.proxyPortPriority ?? 0);
      const matched = entry && { ...entry.key, egress: undefined };
      expect(matched ?? null).toEqual(ingress.matchedKey);
    }
  });
});

// biome-ignore lint/suspicious/noExplicitAny: fields of foreign JSON
function row(entry: any): string {
  const { direction, identity, protocol, dport, portPrefixLen } = entry;
  const { deny = false, redirect = false, l7parser = '', proxyPortPriority = 0, authType = 0 } = entry;
  const value = JSON.stringify({ deny, redirect, l7parser, proxyPortPriority, authType });
  return `${direction} ${identity} ${protocol} ${dport}/${portPrefixLen} ${value}`;
}

/** Equal selector entries are one in the vectors. */
// biome-ignore lint/suspicious/noExplicitAny: fields of foreign JSON
function filterRow(protocol: string, port: number, selectors: readonly any[]): string {
  const rows = selectors.map(({ wildcard, identities, parser, http }) => {
    // biome-ignore lint/suspicious/noExplicitAny: fields of foreign JSON
    const rules = http.map(({ method = '', path = '', host = '' }: any) => `${method} ${path} ${host}`).sort();
    return JSON.stringify([wildcard, identities, parser || '', rules]);
  });
  return `${protocol} ${port} ${[...new Set(rows)].sort().join(' ')}`;
}

test('the cases cover redirects, wildcards, entities and NetworkPolicies', () => {
  const text = cases.map((vector) => JSON.stringify(vector)).join('\n');
  expect(cases.length).toBeGreaterThan(35);
  for (const word of ['"redirect":true', 'NetworkPolicy', 'fromEntities', 'namespaceSelector', 'SCTP']) {
    expect(text).toContain(word);
  }
});
