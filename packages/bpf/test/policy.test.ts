import { Memory, PolicyMap, readPolicyEntry, Scratch } from '@ciliate/maps';
import { IPPROTO_ICMP, IPPROTO_TCP } from '@ciliate/packet';
import { expect, test } from 'vitest';
import { DROP_POLICY, DROP_POLICY_DENY, PolicyVerdict, policyCanAccess } from '../src/index.ts';
import { DROP_FRAG_NOSUPPORT, DROP_POLICY_AUTH_REQUIRED } from '../src/lib/drop_reasons.ts';
import { bytesPerCall } from './bytes_per_call.ts';

const IDENTITY = 1001;
interface Entry {
  identity?: number;
  protocol?: number;
  dport?: number;
  bits?: number;
  deny?: boolean;
  proxyPort?: number;
  priority?: number;
  auth?: number;
  explicit?: boolean;
}
const NONE = 0;
const L3_ONLY = 1;
const L3_L4 = 2;
const L4_ONLY = 3;
const ALL = 4;
const L3_PROTO = 5;
const PROTO_ONLY = 6;
const own: Entry = { identity: IDENTITY, protocol: IPPROTO_TCP, dport: 80, bits: 16 };
const any: Entry = { ...own, identity: 0 };

/** Lookups are ingress, from identity 1001, to port 80/TCP. */
const scenarios: [name: string, entries: Entry[], want: number, proxyPort: number, matchType: number][] = [
  ['no entry matches: default deny', [], DROP_POLICY, 0, NONE],
  ['an entry for another identity does not match', [{ ...own, identity: 1002 }], DROP_POLICY, 0, NONE],
  ['an entry for another port does not match', [{ ...own, dport: 81 }], DROP_POLICY, 0, NONE],
  ['an entry for this identity and port allows', [own], 0, 0, L3_L4],
  ['an entry for this identity and any port of the protocol', [{ ...own, dport: 0, bits: 0 }], 0, 0, L3_PROTO],
  ['an entry for this identity alone', [{ identity: IDENTITY }], 0, 0, L3_ONLY],
  ['an entry for any identity and this port', [any], 0, 0, L4_ONLY],
  ['an entry for any identity and the protocol', [{ ...any, dport: 0, bits: 0 }], 0, 0, PROTO_ONLY],
  ['an entry for everything', [{}], 0, 0, ALL],
  ['a port range matches by its prefix', [{ ...own, dport: 64, bits: 10 }], 0, 0, L3_L4],
  ['deny for any identity beats an allow', [own, { ...any, deny: true }], DROP_POLICY_DENY, 0, L4_ONLY],
  ['deny for this identity beats an allow', [{ ...own, deny: true }, any], DROP_POLICY_DENY, 0, L3_L4],
  [
    'higher proxy priority wins',
    [
      { ...own, proxyPort: 1, priority: 8 },
      { ...any, proxyPort: 2, priority: 9 },
    ],
    0,
    2,
    L4_ONLY,
  ],
  [
    'longer port prefix wins',
    [
      { ...own, dport: 64, bits: 10, proxyPort: 1 },
      { ...any, proxyPort: 2 },
    ],
    0,
    2,
    L4_ONLY,
  ],
  [
    'all equal: the identity entry wins',
    [
      { ...own, proxyPort: 1 },
      { ...any, proxyPort: 2 },
    ],
    0,
    1,
    L3_L4,
  ],
  ['authentication is asked for', [{ ...own, auth: 1, explicit: true }], DROP_POLICY_AUTH_REQUIRED, 0, L3_L4],
  ['authentication of the losing entry is inherited', [own, { ...any, auth: 2 }], DROP_POLICY_AUTH_REQUIRED, 0, L3_L4],
  [
    'an explicit word against authentication stays',
    [
      { ...own, explicit: true },
      { ...any, auth: 2 },
    ],
    0,
    0,
    L3_L4,
  ],
];

test.each(scenarios)('%s', (_name, entries, want, proxyPort, matchType) => {
  const { lookup, verdict } = policyOf(entries);
  expect(lookup()).toBe(want);
  expect([verdict.proxyPort, verdict.matchType]).toEqual([proxyPort, matchType]);
});

test('the chosen entry is told by its address', () => {
  const { memory, lookup, verdict } = policyOf([own, { ...any, proxyPort: 7, priority: 1 }]);
  lookup();
  expect(readPolicyEntry(memory, verdict.entry).proxyPort).toBe(7);
});

test('an untracked fragment without a match has a drop code of its own', () => {
  expect(policyOf([]).lookup(true)).toBe(DROP_FRAG_NOSUPPORT);
});

test('egress entries do not answer for ingress', () => {
  const { map, lookup } = policyOf([]);
  map.update({ egress: true, identity: IDENTITY, protocol: 0, dport: 0, portPrefixLen: 0 }, entryOf({}));
  expect(lookup()).toBe(DROP_POLICY);
});

test('a policy lookup allocates nothing', () => {
  const { lookup } = policyOf([own, any, { protocol: IPPROTO_ICMP }]);
  expect(bytesPerCall(lookup)).toBeLessThan(1);
});

const entryOf = ({ deny = false, proxyPort = 0, priority = 0, auth = 0, explicit = false }: Entry) => ({
  deny,
  proxyPort,
  proxyPortPriority: priority,
  authType: auth,
  hasExplicitAuth: explicit,
});

function policyOf(entries: Entry[]) {
  const memory = Memory.create(8 * 1024 * 1024);
  const map = PolicyMap.create(memory, 1);
  for (const entry of entries) {
    const { identity = 0, protocol = 0, dport = 0, bits = 0 } = entry;
    map.update({ egress: false, identity, protocol, dport, portPrefixLen: bits }, entryOf(entry));
  }
  const key = Scratch.create(memory, 16).take(12);
  const verdict = new PolicyVerdict();
  const lookup = (fragment = false): number =>
    policyCanAccess(memory, map.trie, key, IDENTITY, 0, IPPROTO_TCP, 80, fragment, verdict);
  return { memory, map, lookup, verdict };
}
