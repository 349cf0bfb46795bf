import { EndpointSelector, Labels } from '@ciliate/labels';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SelectorCache, type SelectorUpdate } from '../src/selectorcache.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const labels = (...texts: string[]): Labels => Labels.parse(texts);
const web = EndpointSelector.parse({ matchLabels: { app: 'web' }, matchExpressions: [] });
const inShort = (updates: readonly SelectorUpdate[]) =>
  updates.map(({ added, deleted, lost }) => ({ added, deleted, lost }));

test('a selector finds the identities known before it', () => {
  const cache = new SelectorCache([
    [9, labels('k8s:app=web')],
    [7, labels('k8s:app=web')],
    [8, labels('k8s:app=db')],
  ]);
  expect(cache.acquire(web).selections()).toEqual([7, 9]);
});

test('identities come, change their labels and go', () => {
  const cache = new SelectorCache([]);
  const cached = cache.acquire(web);
  expect(inShort(cache.updateIdentities([[7, labels('k8s:app=web')]], []))).toEqual([
    { added: [7], deleted: [], lost: [] },
  ]);
  expect(cache.updateIdentities([[7, labels('k8s:app=web', 'k8s:v=2')]], [])).toEqual([]);
  expect(inShort(cache.updateIdentities([[7, labels('k8s:app=db')]], []))).toEqual([
    { added: [], deleted: [], lost: [7] },
  ]);
  cache.updateIdentities([[7, labels('k8s:app=web')]], []);
  expect(inShort(cache.updateIdentities([], [7, 99]))).toEqual([{ added: [], deleted: [7], lost: [] }]);
  expect(cached.selections()).toEqual([]);
});

test('a list of selections that somebody holds does not change', () => {
  const cache = new SelectorCache([[7, labels('k8s:app=web')]]);
  const before = cache.acquire(web).selections();
  cache.updateIdentities([[8, labels('k8s:app=web')]], []);
  expect([before, cache.acquire(web).selections()]).toEqual([[7], [7, 8]]);
});

test('the wildcard selects also what is not known', () => {
  expect(new SelectorCache([]).acquire(EndpointSelector.wildcard).selects(12345)).toBe(true);
});

test('equal selectors are one, until their last user releases them', () => {
  const cache = new SelectorCache([]);
  const cached = cache.acquire(web);
  expect(cache.acquire(EndpointSelector.parse({ matchLabels: { 'any:app': 'web' }, matchExpressions: [] }))).toBe(
    cached,
  );
  cache.release(cached);
  expect(cache.size).toBe(1);
  cache.release(cached);
  expect(cache.size).toBe(0);
  cache.release(cached);
  expect(cache.updateIdentities([[7, labels('k8s:app=web')]], [])).toEqual([]);
});

describe('names', () => {
  test('select what the DNS proxy labelled with them', () => {
    const cache = new SelectorCache([
      [7, labels('fqdn:*.example.com', 'reserved:world')],
      [8, labels('fqdn:a.example.com', 'reserved:world')],
    ]);
    expect(cache.acquireFqdn({ matchName: '', matchPattern: '*.example.com' }).selections()).toEqual([7]);
    expect(cache.acquireFqdn({ matchName: 'a.example.com', matchPattern: '' }).selections()).toEqual([8]);
  });

  test('are not the selector that a user might write for such a label', () => {
    const cache = new SelectorCache([]);
    const label = EndpointSelector.ofLabels({ source: 'fqdn', key: 'a.example.com', value: '' });
    expect(cache.acquireFqdn({ matchName: 'a.example.com', matchPattern: '' })).not.toBe(cache.acquire(label));
  });
});

test('an identity that comes is shown to the selectors that ask for one of its labels, and to no others', () => {
  const cache = new SelectorCache([]);
  let asked = 0;
  for (let i = 0; i < 1000; i++) {
    const selector = EndpointSelector.parse({ matchLabels: { app: `app-${i}` }, matchExpressions: [] });
    const matches = selector.matches.bind(selector);
    selector.matches = (its) => {
      asked++;
      return matches(its);
    };
    cache.acquire(selector);
  }
  expect(cache.updateIdentities([[7, labels('k8s:app=app-500', 'k8s:tier=x')]], [])).toHaveLength(1);
  expect(asked).toBe(1);
});

const KEYS = ['a', 'b'];
const VALUES = ['1', '2'];
const SOURCES = ['k8s', 'any'];
const someLabels = fc
  .dictionary(fc.constantFrom(...KEYS), fc.tuple(fc.constantFrom('k8s', 'other'), fc.constantFrom(...VALUES)))
  .map((pairs) => Labels.of(Object.entries(pairs).map(([key, [source, value]]) => ({ source, key, value }))));
const expression = fc.record({
  key: fc.tuple(fc.constantFrom(...SOURCES), fc.constantFrom(...KEYS)).map((parts) => parts.join(':')),
  operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist'),
  values: fc.array(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 3 }),
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
      fc.nat(10),
      (selectors, changes, late) => {
        const cache = new SelectorCache([]);
        const known = new Map<number, Labels>();
        const cached = selectors.slice(1).map((selector) => cache.acquire(selector));
        for (const [index, [identity, now]] of changes.entries()) {
          if (index === late) cached.push(cache.acquire(selectors[0]!)); // one that comes when identities are known
          const before = new Map(cached.map((one) => [one, one.selections()]));
          const updates = cache.updateIdentities(now ? [[identity, now]] : [], now ? [] : [identity]);
          if (now) known.set(identity, now);
          else known.delete(identity);
          for (const one of cached) {
            if (one.isWildcard) continue; // selects everything, and is told of nothing
            const want = [...known].filter(([, its]) => one.selector.matches(its)).map(([id]) => id);
            expect(one.selections()).toEqual(want.sort((a, b) => a - b));
            const changed = one.selections().join() !== before.get(one)!.join();
            expect(updates.some((update) => update.selector === one)).toBe(changed);
          }
        }
      },
    ),
    { seed, numRuns: 300 },
  );
});
