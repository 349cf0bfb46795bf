import { Labels } from '@ciliate/labels';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatPrefix,
  fqdnLabel,
  labelsOfPolicyPrefix,
  type PrefixChanges,
  PrefixIdentities,
  parseAddress,
  parsePrefix,
  type Source,
} from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const FIRST = 2 ** 24 + 1;
type Said = [prefix: string, labels: string[] | undefined, resource?: string, source?: Source];

/** undefined as labels: a policy names the prefix. */
function say(identities: PrefixIdentities, [text, labels, resource = 'r', source = 'generated']: Said): void {
  const prefix = parsePrefix(text);
  const all = labels === undefined ? labelsOfPolicyPrefix(prefix) : Labels.parse(labels);
  identities.upsert(prefix, resource, { source, labels: all });
}

function identitiesOf(said: readonly Said[], dualStack = false): PrefixIdentities {
  const identities = new PrefixIdentities({ dualStack });
  for (const one of said) say(identities, one);
  identities.apply();
  return identities;
}

const shown = (identities: PrefixIdentities): [string, number, string][] =>
  identities.entries().map(({ prefix, identity, labels }) => [formatPrefix(prefix), identity, labels.toString()]);

const single: [name: string, said: Said[], want: [string, number, string][]][] = [
  [
    'a prefix of a policy has its cidr label and is of the world',
    [['10.0.0.0/8', undefined]],
    [['10.0.0.0/8', FIRST, 'cidr:10.0.0.0/8,reserved:world']],
  ],
  ['a prefix of no bits is the world itself', [['0.0.0.0/0', undefined]], [['0.0.0.0/0', 2, 'reserved:world']]],
  [
    'the longer prefix keeps its own cidr label alone',
    [
      ['10.0.0.0/8', undefined],
      ['10.1.0.0/16', undefined],
    ],
    [
      ['10.0.0.0/8', FIRST, 'cidr:10.0.0.0/8,reserved:world'],
      ['10.1.0.0/16', FIRST + 1, 'cidr:10.1.0.0/16,reserved:world'],
    ],
  ],
  [
    'a prefix without one inherits that of the nearest that holds it',
    [
      ['10.0.0.0/8', undefined],
      ['10.1.0.0/16', undefined],
      ['10.1.2.3', ['fqdn:*.example.com']],
    ],
    [
      ['10.0.0.0/8', FIRST, 'cidr:10.0.0.0/8,reserved:world'],
      ['10.1.0.0/16', FIRST + 1, 'cidr:10.1.0.0/16,reserved:world'],
      ['10.1.2.3/32', FIRST + 2, 'cidr:10.1.0.0/16,fqdn:*.example.com,reserved:world'],
    ],
  ],
  [
    'equal labels share an identity',
    [
      ['192.0.2.1', ['fqdn:a']],
      ['192.0.2.9', ['fqdn:a']],
    ],
    [
      ['192.0.2.1/32', FIRST, 'fqdn:a,reserved:world'],
      ['192.0.2.9/32', FIRST, 'fqdn:a,reserved:world'],
    ],
  ],
  [
    'of two labels with one key the longer prefix decides',
    [
      ['10.0.0.0/8', ['cidrgroup:zone=wide', 'cidrgroup:site=x']],
      ['10.1.0.0/16', ['cidrgroup:zone=narrow']],
    ],
    [
      ['10.0.0.0/8', FIRST, 'cidrgroup:site=x,cidrgroup:zone=wide,reserved:world'],
      ['10.1.0.0/16', FIRST + 1, 'cidrgroup:site=x,cidrgroup:zone=narrow,reserved:world'],
    ],
  ],
  [
    'of two resources with one key the stronger source decides',
    [
      ['10.0.0.0/8', ['cidrgroup:zone=weak'], 'a', 'generated'],
      ['10.0.0.0/8', ['cidrgroup:zone=strong'], 'b', 'custom-resource'],
    ],
    [['10.0.0.0/8', FIRST, 'cidrgroup:zone=strong,reserved:world']],
  ],
  [
    'an API server outside of the cluster is of the world too',
    [['172.20.0.1', ['reserved:kube-apiserver'], 'e', 'kube-apiserver']],
    [['172.20.0.1/32', FIRST, 'reserved:kube-apiserver,reserved:world']],
  ],
  [
    'a node is neither of the world nor of a CIDR',
    [
      ['10.0.0.0/8', undefined],
      ['10.0.0.1', ['reserved:remote-node']],
    ],
    [
      ['10.0.0.0/8', FIRST, 'cidr:10.0.0.0/8,reserved:world'],
      ['10.0.0.1/32', 6, 'reserved:remote-node'],
    ],
  ],
];
test.each(single)('%s', (_name, said, want) => {
  expect(shown(identitiesOf(said))).toEqual(want);
});

test('with both families the two worlds are told apart, IPv4 numbered first', () => {
  const said: Said[] = [
    ['2001:db8::/32', undefined],
    ['::/0', undefined],
    ['0.0.0.0/0', undefined],
    ['10.0.0.0/8', undefined],
  ];
  expect(shown(identitiesOf(said, true))).toEqual([
    ['0.0.0.0/0', 9, 'reserved:world-ipv4'],
    ['10.0.0.0/8', FIRST, 'cidr:10.0.0.0/8,reserved:world-ipv4'],
    ['::/0', 10, 'reserved:world-ipv6'],
    ['2001:db8::/32', FIRST + 1, 'cidr:2001-db8--0/32,reserved:world-ipv6'],
  ]);
});

test('an address has the identity of the longest prefix that holds it', () => {
  const identities = identitiesOf([
    ['10.0.0.0/8', undefined],
    ['10.1.0.0/16', undefined],
  ]);
  const of = (text: string) => {
    const { family, address } = parseAddress(text);
    return identities.lookup(family, address)?.identity;
  };
  expect([of('10.1.2.3'), of('10.2.0.0'), of('11.0.0.0'), of('::a01:203')]).toEqual([
    FIRST + 1,
    FIRST,
    undefined,
    undefined,
  ]);
});

const texts = ({ added, upserted, removed, deleted }: PrefixChanges) => ({
  added: added.map(([identity]) => identity),
  upserted: upserted.map(({ prefix }) => formatPrefix(prefix)),
  removed: removed.map(({ prefix }) => formatPrefix(prefix)),
  deleted,
});

test('a change is told with all that follows from it, and an identity lives as long as a prefix has it', () => {
  const identities = new PrefixIdentities({ dualStack: false });
  say(identities, ['192.0.2.1', ['fqdn:a']]);
  say(identities, ['192.0.2.9', ['fqdn:a']]);
  const both = ['192.0.2.1/32', '192.0.2.9/32'];
  expect(texts(identities.apply())).toEqual({ added: [FIRST], upserted: both, removed: [], deleted: [] });
  expect(texts(identities.apply())).toEqual({ added: [], upserted: [], removed: [], deleted: [] });

  say(identities, ['192.0.2.0/24', undefined]);
  const wider = ['192.0.2.0/24', ...both];
  expect(texts(identities.apply())).toEqual({
    added: [FIRST + 1, FIRST + 2],
    upserted: wider,
    removed: [],
    deleted: [FIRST],
  });

  identities.remove(parsePrefix('192.0.2.1'), 'r');
  expect(texts(identities.apply())).toEqual({ added: [], upserted: [], removed: ['192.0.2.1/32'], deleted: [] });
  identities.remove(parsePrefix('192.0.2.0/24'), 'r');
  expect(texts(identities.apply())).toEqual({
    added: [FIRST + 3],
    upserted: ['192.0.2.9/32'],
    removed: ['192.0.2.0/24'],
    deleted: [FIRST + 2, FIRST + 1],
  });
});

test('what one resource takes back the others still say', () => {
  const identities = identitiesOf([
    ['192.0.2.1', ['fqdn:a'], 'dns'],
    ['192.0.2.1', undefined, 'policy'],
  ]);
  expect(identities.resources(parsePrefix('192.0.2.1'))).toEqual(['dns', 'policy']);
  identities.remove(parsePrefix('192.0.2.1'), 'dns');
  identities.apply();
  expect(shown(identities)).toEqual([['192.0.2.1/32', FIRST + 1, 'cidr:192.0.2.1/32,reserved:world']]);
});

test('a pod is no prefix to be identified here: refused by name', () => {
  expect(() => identitiesOf([['10.0.0.1', ['k8s:app=web']]])).toThrow(/not modelled for a prefix/);
});

const nodes: [name: string, said: Said[], want: [string, number, string][]][] = [
  [
    'the node itself, though a policy names its address',
    [
      ['10.0.0.1', ['reserved:host'], 'node/a', 'local'],
      ['10.0.0.0/8', undefined],
    ],
    [
      ['10.0.0.0/8', FIRST, 'cidr:10.0.0.0/8,reserved:world'],
      ['10.0.0.1/32', 1, 'reserved:host'],
    ],
  ],
  [
    'another node, though a CIDR group has its address',
    [
      ['10.0.0.2', ['reserved:remote-node'], 'node/b', 'custom-resource'],
      ['10.0.0.2', ['cidrgroup:zone=1']],
    ],
    [['10.0.0.2/32', 6, 'reserved:remote-node']],
  ],
  [
    'another node with the API server',
    [
      ['10.0.0.2', ['reserved:remote-node'], 'node/b', 'custom-resource'],
      ['10.0.0.2', ['reserved:kube-apiserver'], 'endpoints', 'kube-apiserver'],
    ],
    [['10.0.0.2/32', 7, 'reserved:kube-apiserver,reserved:remote-node']],
  ],
  [
    'the API server outside of the cluster',
    [['192.0.2.9', ['reserved:kube-apiserver'], 'endpoints', 'kube-apiserver']],
    [['192.0.2.9/32', FIRST, 'reserved:kube-apiserver,reserved:world']],
  ],
  ['a health endpoint', [['10.0.0.3', ['reserved:health']]], [['10.0.0.3/32', 4, 'reserved:health']]],
  ["a node's ingress", [['10.0.0.4', ['reserved:ingress']]], [['10.0.0.4/32', 8, 'reserved:ingress']]],
];
test.each(nodes)('in the cluster: %s', (_name, said, want) => {
  expect(shown(identitiesOf(said))).toEqual(want);
});

test('the host keeps its number, and has the labels of all its addresses', () => {
  const identities = identitiesOf([['10.0.0.1', ['reserved:host'], 'node', 'local']]);
  const server = [parsePrefix('10.0.0.5'), 'endpoints'] as const;
  identities.upsert(parsePrefix('10.0.0.5'), 'node', { source: 'local', labels: Labels.parse(['reserved:host']) });
  expect(identities.apply().added).toEqual([]);
  identities.upsert(...server, { source: 'kube-apiserver', labels: Labels.parse(['reserved:kube-apiserver']) });
  expect(identities.apply().added.map(([identity, labels]) => [identity, `${labels}`])).toEqual([
    [1, 'reserved:host,reserved:kube-apiserver'],
  ]);
  identities.remove(...server);
  const { added, deleted } = identities.apply();
  expect(added.map(([identity, labels]) => [identity, `${labels}`])).toEqual([[1, 'reserved:host']]);
  expect(deleted).toEqual([]);
});

// Few prefixes inside each other and few labels, so that they share, inherit and contradict each other all the time.
const change = fc.record({
  prefix: fc.constantFrom(
    '0.0.0.0/0',
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.1.0/24',
    '10.1.1.1',
    '11.0.0.0/8',
    '::/0',
    '::1',
  ),
  resource: fc.constantFrom('a', 'b'),
  labels: fc.constantFrom(
    undefined,
    [fqdnLabel({ matchName: 'x', matchPattern: '' })].map(({ source, key }) => `${source}:${key}`),
    ['cidrgroup:zone=1'],
    ['cidrgroup:zone=2'],
    'gone' as const,
  ),
  apply: fc.boolean(),
});

test('step by step or all at once: the labels are the same, and no identity is lost or left over', () => {
  fc.assert(
    fc.property(fc.array(change), fc.boolean(), (changes, dualStack) => {
      const steps = new PrefixIdentities({ dualStack });
      const known = new Map<string, Said>();
      const live = new Set<number>();
      const follow = ({ added, deleted }: PrefixChanges): void => {
        for (const [identity] of added) expect(live.has(identity)).toBe(false);
        for (const [identity] of added) live.add(identity);
        for (const identity of deleted) expect(live.delete(identity)).toBe(true);
      };
      for (const { prefix, resource, labels, apply } of changes) {
        if (labels === 'gone') {
          steps.remove(parsePrefix(prefix), resource);
          known.delete(`${prefix} ${resource}`);
        } else {
          say(steps, [prefix, labels, resource]);
          known.set(`${prefix} ${resource}`, [prefix, labels, resource]);
        }
        if (apply) follow(steps.apply());
      }
      follow(steps.apply());
      const withoutNumbers = (all: PrefixIdentities) => shown(all).map(([prefix, , labels]) => [prefix, labels]);
      expect(withoutNumbers(steps)).toEqual(withoutNumbers(identitiesOf([...known.values()], dualStack)));
      expect(live).toEqual(new Set(steps.entries().flatMap(({ identity }) => (identity >= FIRST ? [identity] : []))));
    }),
    { seed, numRuns: 300 },
  );
});
