import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AUTH_RULES, DENY_RULES, REDIRECT_RULES } from '../src/l4.ts';
import { lookupMapState } from '../src/lookup.ts';
import { ChangeSet } from '../src/map_changes.ts';
import { type Bucket, MapState } from '../src/mapstate.ts';
import { allowValue, type MapStateValue } from '../src/types/entry.ts';
import { formatKey, type MapStateKey, maskPort } from '../src/types/key.ts';
import { Origins } from '../src/types/origins.ts';
import { inWords, rule } from './rules.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const FEATURES = DENY_RULES | REDIRECT_RULES;
const TCP = 6;

const key = (identity: number, dport = 0, portPrefixLen = dport === 0 ? 0 : 16, protocol = TCP): MapStateKey => ({
  egress: false,
  identity,
  protocol,
  dport,
  portPrefixLen,
});
const anything = (identity: number): MapStateKey => key(identity, 0, 0, 0);

const allow = allowValue(Origins.none);
const deny: MapStateValue = { ...allow, deny: true };
const redirect = (priority: number, listener = ''): MapStateValue => ({
  ...allow,
  redirect: { id: `f${listener}`, parser: 'http', listener, priority },
});
const auth = (authType: 0 | 1 | 2, authExplicit = true): MapStateValue => ({ ...allow, authType, authExplicit });

const bucketOf = (state: MapState, { egress, protocol, dport, portPrefixLen }: MapStateKey): Bucket =>
  state.bucket(egress, protocol, dport, portPrefixLen);
const insert = (state: MapState, where: MapStateKey, value: MapStateValue, features = FEATURES): void =>
  state.insert(bucketOf(state, where), where.identity, value, features);
const inText = (state: MapState): string[] =>
  [...state].map((entry) => `${formatKey(entry.key)} ${inWords(entry)}`).sort();

type Insert = [MapStateKey, MapStateValue];
const plain: [sentence: string, inserts: Insert[], want: string[]][] = [
  ['an allow stays', [[key(9, 80), allow]], ['ingress:9:6:80/16 allow']],
  [
    'an allow does not enter under a wider deny',
    [
      [anything(9), deny],
      [key(9, 80), allow],
    ],
    ['ingress:9:0:0/0 deny'],
  ],
  [
    'nor under a deny for everybody',
    [
      [key(0, 80), deny],
      [key(9, 80), allow],
    ],
    ['ingress:0:6:80/16 deny'],
  ],
  [
    'a deny removes the allows it covers',
    [
      [key(9, 80), allow],
      [key(0), deny],
    ],
    ['ingress:0:6:0/0 deny'],
  ],
  [
    'but not those of another protocol',
    [
      [key(9, 80, 16, 17), allow],
      [key(0), deny],
    ],
    ['ingress:0:6:0/0 deny', 'ingress:9:17:80/16 allow'],
  ],
  [
    'a deny replaces an allow at the same key',
    [
      [key(9, 80), allow],
      [key(9, 80), deny],
    ],
    ['ingress:9:6:80/16 deny'],
  ],
  [
    'a deny under a wider deny is not needed',
    [
      [anything(0), deny],
      [key(9, 80), deny],
    ],
    ['ingress:0:0:0/0 deny'],
  ],
  [
    'nor one that a wider deny comes over later',
    [
      [key(9, 80), deny],
      [key(0), deny],
    ],
    ['ingress:0:6:0/0 deny'],
  ],
  [
    'a deny for one identity leaves others alone',
    [
      [key(8, 80), allow],
      [key(9), deny],
    ],
    ['ingress:8:6:80/16 allow', 'ingress:9:6:0/0 deny'],
  ],
  [
    'a redirect removes allows that it covers',
    [
      [key(9, 80), allow],
      [key(0, 80), redirect(27)],
    ],
    ['ingress:0:6:80/16 redirect http 27'],
  ],
  [
    'an allow does not enter under a wider redirect',
    [
      [key(0, 64, 10), redirect(27)],
      [key(9, 80), allow],
    ],
    ['ingress:0:6:64/10 redirect http 27'],
  ],
  [
    'a redirect beside a wider allow stays',
    [
      [key(9), allow],
      [key(9, 80), redirect(27)],
    ],
    ['ingress:9:6:0/0 allow', 'ingress:9:6:80/16 redirect http 27'],
  ],
  [
    'at one key the higher priority stays',
    [
      [key(9, 80), redirect(7)],
      [key(9, 80), redirect(27)],
    ],
    ['ingress:9:6:80/16 redirect http 27'],
  ],
  [
    'whichever comes first',
    [
      [key(9, 80), redirect(27)],
      [key(9, 80), redirect(7)],
    ],
    ['ingress:9:6:80/16 redirect http 27'],
  ],
  [
    'redirects of equal priority do not remove each other',
    [
      [key(0, 80), redirect(27)],
      [key(9, 80), redirect(27)],
    ],
    ['ingress:0:6:80/16 redirect http 27', 'ingress:9:6:80/16 redirect http 27'],
  ],
  [
    'a port outside of the range is not covered',
    [
      [key(9, 63), allow],
      [key(0, 64, 10), redirect(27)],
    ],
    ['ingress:0:6:64/10 redirect http 27', 'ingress:9:6:63/16 allow'],
  ],
];

test.each(plain)('%s', (_sentence, inserts, want) => {
  const state = new MapState();
  for (const [where, value] of inserts) insert(state, where, value);
  expect(inText(state)).toEqual([...want].sort());
});

const withAuth: [sentence: string, inserts: Insert[], want: string[]][] = [
  [
    'a narrower key of the identity inherits authentication',
    [
      [anything(9), auth(1)],
      [key(9, 80), allow],
    ],
    ['ingress:9:0:0/0 allow auth 1', 'ingress:9:6:80/16 allow auth 1 derived'],
  ],
  [
    'also if it was there before',
    [
      [key(9, 80), allow],
      [anything(9), auth(1)],
    ],
    ['ingress:9:0:0/0 allow auth 1', 'ingress:9:6:80/16 allow auth 1 derived'],
  ],
  [
    'not from everybody, for that the lookup sees to',
    [
      [anything(0), auth(1)],
      [key(9, 80), allow],
    ],
    ['ingress:0:0:0/0 allow auth 1', 'ingress:9:6:80/16 allow'],
  ],
  [
    'the most specific covering key counts',
    [
      [anything(9), auth(1)],
      [key(9), auth(2)],
      [key(9, 80), allow],
    ],
    ['ingress:9:0:0/0 allow auth 1', 'ingress:9:6:0/0 allow auth 2', 'ingress:9:6:80/16 allow auth 2 derived'],
  ],
  [
    'a key that asks itself inherits nothing, also if it asks for none',
    [
      [anything(9), auth(1)],
      [key(9, 80), auth(0)],
    ],
    ['ingress:9:0:0/0 allow auth 1', 'ingress:9:6:80/16 allow'],
  ],
  [
    'at one key, asked for outweighs inherited',
    [
      [key(9, 80), auth(2, false)],
      [key(9, 80), auth(1)],
    ],
    ['ingress:9:6:80/16 allow auth 1'],
  ],
  [
    'at one key, of two that are asked for the stronger counts',
    [
      [key(9, 80), auth(1)],
      [key(9, 80), auth(2)],
    ],
    ['ingress:9:6:80/16 allow auth 2'],
  ],
  [
    'an allow that asks stays under a wider redirect and goes to the proxy, too',
    [
      [key(9), redirect(27)],
      [key(9, 80), auth(1)],
    ],
    ['ingress:9:6:0/0 redirect http 27', 'ingress:9:6:80/16 redirect http 27 auth 1'],
  ],
  [
    'and where the redirect comes later',
    [
      [key(9, 80), auth(1)],
      [key(9), redirect(27)],
    ],
    ['ingress:9:6:0/0 redirect http 27', 'ingress:9:6:80/16 redirect http 27 auth 1'],
  ],
  [
    'one that does not ask goes',
    [
      [key(9, 80), allow],
      [key(9), redirect(27)],
    ],
    ['ingress:9:6:0/0 redirect http 27'],
  ],
  [
    'an allow does not enter under a deny of its identity',
    [
      [key(9), deny],
      [key(9, 80), auth(1)],
    ],
    ['ingress:9:6:0/0 deny'],
  ],
  [
    'under a deny for everybody it does, in vain',
    [
      [key(0), deny],
      [key(9, 80), auth(1)],
    ],
    ['ingress:0:6:0/0 deny', 'ingress:9:6:80/16 allow auth 1'],
  ],
];

test.each(withAuth)('authentication: %s', (_sentence, inserts, want) => {
  const state = new MapState();
  for (const [where, value] of inserts) insert(state, where, value, FEATURES | AUTH_RULES);
  expect(inText(state)).toEqual([...want].sort());
});

test('at equal priority the listener whose name comes first takes the packets', () => {
  for (const names of [
    ['a/x', 'a/y'],
    ['a/y', 'a/x'],
  ] as const) {
    const state = new MapState();
    for (const name of names) insert(state, key(9, 80), redirect(27, name));
    expect(state.get(key(9, 80))!.listener).toBe('a/x');
  }
});

test('what two rules say about one key comes from both, each once', () => {
  const { allow: list } = rule({ ingress: [{}, {}] }).ingress;
  const [a, b] = list.map(({ origin }) => origin);
  const state = new MapState();
  for (const one of [a!, b!, a!]) insert(state, key(9, 80), allowValue(Origins.of([one])));
  expect(state.get(key(9, 80))!.origins).toEqual([a, b]);
});

test('thousands of rules about one key do not overflow anything', () => {
  const { allow: list } = rule({ ingress: Array.from({ length: 20_000 }, () => ({})) }).ingress;
  const state = new MapState();
  for (const { origin } of list) insert(state, key(9, 80), allowValue(Origins.of([origin])));
  expect(state.get(key(9, 80))!.origins).toEqual(list.map(({ origin }) => origin));
});

test('a change set tells what is different in the end, not what happened on the way', () => {
  const state = new MapState();
  insert(state, key(9, 80), allow);
  insert(state, key(9, 81), allow);
  const changes = new ChangeSet();
  const put = (where: MapStateKey, value: MapStateValue): void =>
    state.insert(bucketOf(state, where), where.identity, value, FEATURES, changes);
  put(key(8, 80), allow);
  state.remove(bucketOf(state, key(8, 80)), 8, changes); // came and went
  put(key(9, 81), allow); // as it was
  put(key(9, 80), redirect(27)); // another
  put(key(7, 80), allow); // new
  expect(changes.summary()).toEqual({ adds: [key(9, 80), key(7, 80)], deletes: [] });
  const more = new ChangeSet();
  state.insert(bucketOf(state, anything(9)), 9, deny, FEATURES, more);
  expect(more.summary()).toEqual({ adds: [anything(9)], deletes: [key(9, 80), key(9, 81)] });
});

// Few identities, protocols and ports, wide and narrow prefixes: keys cover each other often.
const anyKey = fc
  .record({
    identity: fc.constantFrom(0, 8, 9),
    protocol: fc.constantFrom(0, TCP, 17),
    port: fc.nat(7),
    length: fc.constantFrom(0, 13, 14, 15, 16),
  })
  .map(({ identity, protocol, port, length }) => {
    const portPrefixLen = protocol === 0 ? 0 : length;
    return key(identity, maskPort(port, portPrefixLen), portPrefixLen, protocol);
  });
const anyValue = fc.constantFrom(allow, deny, redirect(7), redirect(27));

test('whatever the order of insertion, a flow gets the strongest word of all that was inserted about it', () => {
  const inserts = fc.array(fc.tuple(anyKey, anyValue), { maxLength: 12 });
  fc.assert(
    fc.property(inserts, (list) => {
      const state = new MapState();
      for (const [where, value] of list) insert(state, where, value);
      for (const identity of [7, 8, 9]) {
        for (const protocol of [TCP, 17, 1]) {
          for (let dport = 0; dport < 9; dport++) {
            const words = list.filter(([where]) => matches(where, identity, protocol, dport)).map(([, value]) => value);
            const found = lookupMapState(state, { egress: false, identity, protocol, dport });
            const want = words.some((value) => value.deny)
              ? 'deny'
              : String(Math.max(...words.map((value) => value.redirect?.priority ?? 0)));
            const got = found?.deny ? 'deny' : String(found?.proxyPortPriority ?? Number.NEGATIVE_INFINITY);
            expect(got).toBe(want);
          }
        }
      }
    }),
    { seed, numRuns: 300 },
  );
});

function matches(where: MapStateKey, identity: number, protocol: number, dport: number): boolean {
  if (where.identity !== 0 && where.identity !== identity) return false;
  if (where.protocol === 0) return true;
  return where.protocol === protocol && maskPort(dport, where.portPrefixLen) === where.dport;
}
