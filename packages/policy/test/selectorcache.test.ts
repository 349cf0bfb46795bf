import { EndpointSelector, Labels } from '@ciliate/labels';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SelectorCache } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const labels = (...texts: string[]): Labels => Labels.parse(texts);
const web = EndpointSelector.parse({ matchLabels: { app: 'web' }, matchExpressions: [] });
const user = {};

test('a selector finds the identities known before it', () => {
  const cache = new SelectorCache([
    [9, labels('k8s:app=web')],
    [7, labels('k8s:app=web')],
    [8, labels('k8s:app=db')],
  ]);
  expect(cache.acquire(web, user).selections()).toEqual([7, 9]);
});

test('identities come, change their labels and go', () => {
  const cache = new SelectorCache([]);
  const cached = cache.acquire(web, user);
  expect(cache.updateIdentities([[7, labels('k8s:app=web')]], [])).toEqual([
    { selector: cached, added: [7], deleted: [] },
  ]);
  expect(cache.updateIdentities([[7, labels('k8s:app=web', 'k8s:v=2')]], [])).toEqual([]);
  expect(cache.updateIdentities([[7, labels('k8s:app=db')]], [])).toEqual([
    { selector: cached, added: [], deleted: [7] },
  ]);
  cache.updateIdentities([[7, labels('k8s:app=web')]], []);
  expect(cache.updateIdentities([], [7, 99])).toEqual([{ selector: cached, added: [], deleted: [7] }]);
  expect(cached.selections()).toEqual([]);
});

test('the wildcard selects also what is not known', () => {
  expect(new SelectorCache([]).acquire(EndpointSelector.wildcard, user).selects(12345)).toBe(true);
});

test('equal selectors are one, until their last user releases them', () => {
  const cache = new SelectorCache([]);
  const [a, b] = [{}, {}];
  const cached = cache.acquire(web, a);
  expect(cache.acquire(EndpointSelector.parse({ matchLabels: { 'any:app': 'web' }, matchExpressions: [] }), b)).toBe(
    cached,
  );
  cache.release(cached, a);
  cache.release(cached, a);
  expect(cache.size).toBe(1);
  cache.release(cached, b);
  expect(cache.size).toBe(0);
});

const KEYS = ['a', 'b'];
const VALUES = ['1', '2'];
const someLabels = fc
  .dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES))
  .map((pairs) => Labels.of(Object.entries(pairs).map(([key, value]) => ({ source: 'k8s', key, value }))));
const expression = fc.record({
  key: fc.constantFrom(...KEYS),
  operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
  values: fc.uniqueArray(fc.constantFrom(...VALUES), { minLength: 1 }),
});
const someSelector = fc.array(expression, { maxLength: 2 }).map((expressions) =>
  EndpointSelector.parse({
    matchLabels: {},
    matchExpressions: expressions.map((one) => (one.operator.endsWith('In') ? one : { ...one, values: [] })),
  }),
);
const change = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.option(someLabels, { nil: undefined }));

test('after any changes a selector holds exactly the identities whose labels it matches', () => {
  fc.assert(
    fc.property(
      fc.array(someSelector, { minLength: 1, maxLength: 4 }),
      fc.array(change, { maxLength: 20 }),
      (selectors, changes) => {
        const cache = new SelectorCache([]);
        const known = new Map<number, Labels>();
        const cached = selectors.map((selector) => cache.acquire(selector, user));
        for (const [identity, now] of changes) {
          const before = new Map(cached.map((one) => [one, one.selections()]));
          const updates = cache.updateIdentities(now ? [[identity, now]] : [], now ? [] : [identity]);
          if (now) known.set(identity, now);
          else known.delete(identity);
          for (const one of cached) {
            const want = [...known].filter(([, its]) => one.selector.matches(its)).map(([id]) => id);
            expect(one.selections()).toEqual(want.sort((a, b) => a - b));
            const changed = one.selections().join() !== before.get(one)!.join();
            expect(updates.some((update) => update.selector === one)).toBe(changed);
          }
        }
      },
    ),
    { seed, numRuns: 200 },
  );
});
