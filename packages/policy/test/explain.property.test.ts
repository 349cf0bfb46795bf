import { decodeObjects, type PolicyObject } from '@ciliate/k8s';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Rule, RuleOrigin } from '../src/api/rule.ts';
import { DEFAULT_POLICY_CONFIG } from '../src/config.ts';
import { PolicyConflictError } from '../src/conflict.ts';
import { explainFlow, type FlowExplanation } from '../src/explain/explain.ts';
import { parsePolicy } from '../src/k8s/parse.ts';
import { lookupMapState } from '../src/lookup.ts';
import { NamedPorts } from '../src/named_ports.ts';
import { SelectorPolicy } from '../src/selector_policy.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import type { MapStateEntry } from '../src/types/entry.ts';
import { evaluate, FLOWS, type Flow, IDENTITIES, type ModelRule, modelRules, rulesOf, speakersOn } from './model.ts';
import { rule, SUBJECT } from './rules.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const config = DEFAULT_POLICY_CONFIG;
const OWNER = { namedPorts: [], allNamedPorts: new NamedPorts() };

/** undefined: the rules contradict each other, which these laws are not about. */
function policyOf(rules: readonly Rule[], cache: SelectorCache) {
  try {
    return SelectorPolicy.resolve({ config, revision: 1, rules }, SUBJECT, cache).distill(OWNER);
  } catch (error) {
    if (error instanceof PolicyConflictError) return undefined;
    throw error;
  }
}

function prepare(model: readonly ModelRule[]) {
  const cache = new SelectorCache(IDENTITIES);
  const rules = rulesOf(model)
    .map(rule)
    .filter(({ subject }) => subject.matches(SUBJECT.labels));
  const policy = policyOf(rules, cache);
  if (policy === undefined) return undefined;
  const repository = { config, rulesSelecting: () => [...rules], policiesSelecting: () => [], has: () => false };
  return { cache, rules, policy, explain: (flow: Flow) => explainFlow(repository, SUBJECT, policy, flow) };
}

const textOf = ({ name, list, ruleIndex }: RuleOrigin): string => `${name} ${list}[${ruleIndex}]`;
const originsOf = ({ because, lost }: FlowExplanation): string[] =>
  [...because, ...lost].flatMap(({ origins }) => origins.filter(({ kind }) => kind !== 'implicit').map(textOf));
const wordOf = (entry: MapStateEntry | undefined): string =>
  entry === undefined ? 'drop' : entry.deny ? 'deny' : entry.redirect ? `redirect ${entry.proxyPortPriority}` : 'allow';

test('an explanation has the entry that decides, what it comes from, and every rule that says something', () => {
  fc.assert(
    fc.property(modelRules, fc.constantFrom(...FLOWS), (model, flow) => {
      const prepared = prepare(model);
      fc.pre(prepared !== undefined);
      const entry = lookupMapState(prepared.policy.mapState, flow);
      const explanation = prepared.explain(flow);
      expect(explanation.entry).toEqual(entry);
      expect(explanation.verdict).toBe(evaluate(model, flow).split(' ')[0]);
      expect([...new Set(originsOf(explanation))].sort()).toEqual(speakersOn(model, flow).sort());
      expect(explanation.because.length > 0).toBe(entry !== undefined);
      for (const claim of explanation.because) {
        expect(claim.key).toEqual(entry!.key);
        for (const origin of claim.origins) expect(entry!.origins).toContain(origin);
      }
    }),
    { seed, numRuns: 500 },
  );
});

test('why a claim lost is true of it and of the entry that won', () => {
  fc.assert(
    fc.property(modelRules, fc.constantFrom(...FLOWS), (model, flow) => {
      const explanation = prepare(model)?.explain(flow);
      fc.pre(explanation !== undefined && explanation.lost.length > 0);
      const { entry, lost } = explanation;
      for (const { deny, reason, proxyPortPriority: priority, key, inMap } of lost) {
        if (reason === 'deny-wins') expect([entry!.deny, deny]).toEqual([true, false]);
        if (reason === 'covered-by-deny') expect([entry!.deny, deny, inMap]).toEqual([true, true, false]);
        if (reason === 'proxy-priority') expect(entry!.proxyPortPriority).toBeGreaterThan(priority);
        if (reason === 'identity-first')
          expect([entry!.key.identity, key.identity, inMap]).toEqual([flow.identity, 0, true]);
        if (reason === 'more-specific-port') {
          expect(entry!.key.portPrefixLen + (entry!.key.protocol === 0 ? -1 : 0)).toBeGreaterThan(
            key.portPrefixLen + (key.protocol === 0 ? -1 : 0),
          );
        }
        if (reason === 'same-as-everybody') {
          expect([key.identity, inMap]).toEqual([flow.identity, false]);
          expect(priority).toBe(entry!.proxyPortPriority);
        }
      }
    }),
    { seed, numRuns: 500 },
  );
});

test('for a drop, the suggestion lets the flow through, and nothing else but its peers on its ports', () => {
  let drops = 0;
  fc.assert(
    fc.property(modelRules, fc.constantFrom(...FLOWS), (model, flow) => {
      const prepared = prepare(model);
      fc.pre(prepared !== undefined && lookupMapState(prepared.policy.mapState, flow) === undefined);
      const { remedy } = prepared.explain(flow);
      if (remedy?.kind === 'none') {
        expect(remedy.why).toMatch(/rule-\d (in|e)gress\[\d\] .*requires /);
        return;
      }
      if (remedy?.kind !== 'allow') throw new Error('for a drop, there is an allow or a reason why not');
      drops++;
      const { yaml, ports, alsoPeers } = remedy.suggestion;
      const [object] = decodeObjects(yaml, 's.yaml') as PolicyObject[];
      const added = parsePolicy(object!, { config, services: [] });
      expect(added.every(({ subject }) => subject.matches(SUBJECT.labels))).toBe(true);
      const after = policyOf([...prepared.rules, ...added], prepared.cache)!;
      const changed = FLOWS.filter(
        (one) => wordOf(lookupMapState(prepared.policy.mapState, one)) !== wordOf(lookupMapState(after.mapState, one)),
      );
      expect(changed).toContain(flow);
      expect(wordOf(lookupMapState(after.mapState, flow))).toBe('allow');
      for (const one of changed) {
        expect([flow.identity, ...alsoPeers]).toContain(one.identity);
        expect(one.egress).toBe(flow.egress);
        if (ports.protocol !== 0) expect(one.protocol).toBe(flow.protocol);
        expect(one.dport).toBeGreaterThanOrEqual(ports.first);
        expect(one.dport).toBeLessThanOrEqual(ports.last);
      }
    }),
    { seed, numRuns: 300 },
  );
  expect(drops).toBeGreaterThan(100);
});

test('no suggestion for a flow that a rule denies: each rule that denies it is named', () => {
  fc.assert(
    fc.property(modelRules, fc.constantFrom(...FLOWS), (model, flow) => {
      const prepared = prepare(model);
      fc.pre(prepared !== undefined && evaluate(model, flow) === 'deny');
      const { remedy } = prepared.explain(flow);
      const denying = speakersOn(model, flow).filter((text) => text.includes('Deny'));
      expect(remedy).toMatchObject({ kind: 'denied' });
      if (remedy?.kind === 'denied') expect([...new Set(remedy.by.map(textOf))].sort()).toEqual(denying.sort());
    }),
    { seed, numRuns: 200 },
  );
});

test('every allow rule about a dropped flow has something amiss: the nearest first', () => {
  fc.assert(
    fc.property(modelRules, fc.constantFrom(...FLOWS), (model, flow) => {
      const prepared = prepare(model);
      fc.pre(prepared !== undefined && evaluate(model, flow) === 'drop');
      const { nearMisses } = prepared.explain(flow);
      const allows = prepared.rules.flatMap((one) => (flow.egress ? one.egress : one.ingress).allow);
      expect(nearMisses.map(({ origin }) => textOf(origin)).sort()).toEqual(
        allows.map(({ origin }) => textOf(origin)).sort(),
      );
      const amiss = nearMisses.map(({ misses }) => misses.length);
      expect(amiss).toEqual(amiss.toSorted((a, b) => a - b));
    }),
    { seed, numRuns: 300 },
  );
});
