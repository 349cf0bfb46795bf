import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RuleOrigin } from '../src/index.ts';
import { lookupMapState, type MapStateKey, type MapStateValue } from '../src/index.ts';
import { MapState } from '../src/mapstate.ts';
import { allowEntry } from '../src/types/entry.ts';
import { maskPort } from '../src/types/key.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const ALL_FEATURES = { deny: true, redirect: true };
const TCP = 6;

const key = (identity: number, dport = 0, portPrefixLen = dport === 0 ? 0 : 16, protocol = TCP): MapStateKey => ({
  egress: false,
  identity,
  protocol,
  dport,
  portPrefixLen,
});
const anything = (identity: number): MapStateKey => key(identity, 0, 0, 0);

const allow = allowEntry([]);
const deny: MapStateValue = { ...allow, deny: true };
const redirect = (proxyPortPriority: number): MapStateValue => ({
  ...allow,
  redirect: true,
  filterId: 'f',
  parser: 'http',
  proxyPortPriority,
});

type Insert = [MapStateKey, MapStateValue];
const rows: [sentence: string, inserts: Insert[], want: string[]][] = [
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
    ['ingress:0:6:80/16 redirect 27'],
  ],
  [
    'an allow does not enter under a wider redirect',
    [
      [key(0, 64, 10), redirect(27)],
      [key(9, 80), allow],
    ],
    ['ingress:0:6:64/10 redirect 27'],
  ],
  [
    'a redirect beside a wider allow stays',
    [
      [key(9), allow],
      [key(9, 80), redirect(27)],
    ],
    ['ingress:9:6:0/0 allow', 'ingress:9:6:80/16 redirect 27'],
  ],
  [
    'at one key the higher priority stays',
    [
      [key(9, 80), redirect(7)],
      [key(9, 80), redirect(27)],
    ],
    ['ingress:9:6:80/16 redirect 27'],
  ],
  [
    'whichever comes first',
    [
      [key(9, 80), redirect(27)],
      [key(9, 80), redirect(7)],
    ],
    ['ingress:9:6:80/16 redirect 27'],
  ],
  [
    'redirects of equal priority do not remove each other',
    [
      [key(0, 80), redirect(27)],
      [key(9, 80), redirect(27)],
    ],
    ['ingress:0:6:80/16 redirect 27', 'ingress:9:6:80/16 redirect 27'],
  ],
  [
    'a port outside of the range is not covered',
    [
      [key(9, 63), allow],
      [key(0, 64, 10), redirect(27)],
    ],
    ['ingress:0:6:64/10 redirect 27', 'ingress:9:6:63/16 allow'],
  ],
];

test.each(rows)('%s', (_sentence, inserts, want) => {
  const state = new MapState();
  for (const [where, value] of inserts) state.insert(where, value, ALL_FEATURES);
  const got = [...state.toMap()].map(([text, { deny: denied, redirect: redirected, proxyPortPriority }]) => {
    if (denied) return `${text} deny`;
    return redirected ? `${text} redirect ${proxyPortPriority}` : `${text} allow`;
  });
  expect(got.sort()).toEqual([...want].sort());
});

test('what two rules say about one key comes from both, each once', () => {
  const origin = (name: string): RuleOrigin => ({
    kind: 'CiliumNetworkPolicy',
    namespace: 'default',
    name,
    specIndex: 0,
    ruleIndex: 0,
    position: undefined,
  });
  const [a, b] = [origin('a'), origin('b')];
  const state = new MapState();
  for (const one of [a, b, a]) state.insert(key(9, 80), allowEntry([one]), ALL_FEATURES);
  expect(state.get(key(9, 80))!.origins).toEqual([a, b]);
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
      for (const [where, value] of list) state.insert(where, value, ALL_FEATURES);
      const map = state.toMap();
      for (const identity of [7, 8, 9]) {
        for (const protocol of [TCP, 17, 1]) {
          for (let dport = 0; dport < 9; dport++) {
            const words = list.filter(([where]) => matches(where, identity, protocol, dport)).map(([, value]) => value);
            const found = lookupMapState(map, { egress: false, identity, protocol, dport });
            const want = words.some((value) => value.deny)
              ? 'deny'
              : String(Math.max(...words.map((value) => value.proxyPortPriority)));
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
