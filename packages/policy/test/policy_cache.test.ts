import { Labels } from '@ciliate/labels';
import { expect, test } from 'vitest';
import { DEFAULT_POLICY_CONFIG } from '../src/config.ts';
import { PolicyConflictError } from '../src/conflict.ts';
import { PolicyCache } from '../src/policy_cache.ts';
import { RuleStore } from '../src/rule_store.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import {
  A,
  entity,
  http,
  listener,
  PODS,
  pod,
  ports,
  RESERVED,
  type RuleSpec,
  rule,
  SUBJECT,
  select,
  tcp,
} from './rules.ts';

function setUp() {
  const store = new RuleStore();
  const selectors = new SelectorCache([...RESERVED, ...PODS]);
  const cache = new PolicyCache(DEFAULT_POLICY_CONFIG, store, selectors);
  const set = (name: string, spec: RuleSpec, namespace = 'default'): void =>
    store.set({ kind: 'CiliumNetworkPolicy', namespace, name }, [rule({ name, ...spec })]);
  return { store, selectors, cache, set };
}
const fromA = { ingress: [{ endpoints: [select({ app: 'a' })] }] };

test('endpoints of one identity share a policy', () => {
  const { cache, set } = setUp();
  set('p', fromA);
  expect(cache.get(SUBJECT, 2)).toBe(cache.get({ ...SUBJECT }, 2));
});

test('a change of rules that do not select the identity computes nothing anew', () => {
  const { cache, set } = setUp();
  set('p', fromA);
  const before = cache.get(SUBJECT, 2);
  set('other', { ...fromA, subject: select({ app: 'another' }) });
  expect(cache.get(SUBJECT, 3)).toBe(before);
  expect(before.revision).toBe(3);
  set('p', fromA);
  const after = cache.get(SUBJECT, 4);
  expect(after).not.toBe(before);
  expect(after.revision).toBe(4);
});

test('rules that contradict each other leave the policy as it is', () => {
  const { cache, set, selectors } = setUp();
  set('p', { ingress: [{ endpoints: [select({ app: 'a' })], toPorts: [ports([tcp(80)], http('GET'))] }] });
  const before = cache.get(SUBJECT, 2);
  const inUse = selectors.size;
  set('q', { ingress: [{ endpoints: [select({ app: 'a' })], toPorts: [ports([tcp(80)], listener('l'))] }] });
  expect(() => cache.get(SUBJECT, 3)).toThrow(PolicyConflictError);
  expect([before.revision, selectors.size]).toEqual([2, inUse]);
});

test('a policy that was replaced hears of new identities as long as an endpoint holds it', () => {
  const { cache, set, selectors } = setUp();
  set('p', fromA);
  const endpoint = cache.get(SUBJECT, 2).distill();
  set('p', { ingress: [{ others: [entity('world')] }] });
  cache.get(SUBJECT, 3);
  const updates = selectors.updateIdentities([[2000, pod({ app: 'a' })]], []);
  expect(endpoint.update(updates).adds.map(({ identity }) => identity)).toEqual([2000]);
  endpoint.release();
  expect(selectors.updateIdentities([[2001, pod({ app: 'a' })]], [])).toEqual([]);
});

test('nothing is left in the selector cache when nobody holds a policy any more', () => {
  const { cache, set, selectors } = setUp();
  set('p', {
    ...fromA,
    egress: [{ fqdns: [{ matchName: 'a', matchPattern: '' }], others: [entity('none'), entity('world')] }],
  });
  const endpoint = cache.get(SUBJECT, 2).distill();
  expect(selectors.size).toBe(4);
  cache.forget(SUBJECT.identity);
  expect(selectors.size).toBe(4);
  endpoint.release();
  expect(selectors.size).toBe(0);
});

test('rules select what is of their own namespace, clusterwide ones everything', () => {
  const { store, set } = setUp();
  set('mine', {});
  set('theirs', {}, 'other');
  set('all', {}, '');
  const names = store.selecting(SUBJECT).map(({ policy }) => policy.name);
  expect(names.sort()).toEqual(['all', 'mine']);
  const host = { identity: 1, labels: Labels.parse(['reserved:host']) };
  expect(store.selecting(host)).toEqual([]);
  set('nodes', { selectsNodes: true }, '');
  expect(store.selecting(host).map(({ policy }) => policy.name)).toEqual(['nodes']);
  expect(
    store.selecting({ identity: A, labels: Labels.parse(['reserved:init']) }).map(({ policy }) => policy.name),
  ).toEqual(['all']);
});
