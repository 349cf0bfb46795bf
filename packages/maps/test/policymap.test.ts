import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  lpmPrefixLength,
  Memory,
  type PolicyEntry,
  type PolicyKey,
  PolicyMap,
  pinned,
  policyMapName,
  readPolicyEntry,
  readPolicyKey,
} from '../src/index.ts';
import { MIB, seed, thrown } from './support.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const allow: PolicyEntry = { deny: false, proxyPort: 0, proxyPortPriority: 0, authType: 0, hasExplicitAuth: false };
const any: PolicyKey = { egress: false, identity: 0, protocol: 0, dport: 0, portPrefixLen: 0 };
const http: PolicyKey = { egress: false, identity: 0x1234, protocol: 6, dport: 80, portPrefixLen: 16 };

/** The bytes that the real map holds. prefixlen, identity: little-endian; ports: network order. */
const rows: [name: string, key: PolicyKey, entry: PolicyEntry, keyHex: string, valueHex: string][] = [
  ['any peer, any protocol', any, allow, '280000000000000000000000', '0000000000000000'],
  ['one port of one identity', http, allow, '400000003412000000060050', '0000c00000000000'],
  ['egress is bit 0', { ...http, egress: true }, allow, '400000003412000001060050', '0000c00000000000'],
  ['all ports of a protocol', { ...any, protocol: 17 }, allow, '300000000000000000110000', '0000400000000000'],
  [
    'a range: the leading 12 bits of the port count',
    { ...http, dport: 0x1f90, portPrefixLen: 12 },
    allow,
    '3c0000003412000000061f90',
    '0000a00000000000',
  ],
  ['deny is bit 0 of byte 2', http, { ...allow, deny: true }, '400000003412000000060050', '0000c10000000000'],
  [
    'redirect to a proxy, with its priority',
    http,
    { ...allow, proxyPort: 10_001, proxyPortPriority: 101 },
    '400000003412000000060050',
    '2711c00065000000',
  ],
  [
    'authentication, asked for explicitly',
    http,
    { ...allow, authType: 1, hasExplicitAuth: true },
    '400000003412000000060050',
    '0000c08100000000',
  ],
];

test.each(rows)('%s', (_name, key, entry, keyHex, valueHex) => {
  const m = Memory.create(MIB);
  const map = PolicyMap.create(m, 7, 100);
  map.update(key, entry);
  const [at] = map.trie.entries();
  expect(hex(m.u8.slice(at!.key, at!.key + 12))).toBe(keyHex);
  expect(hex(m.u8.slice(at!.value, at!.value + 8))).toBe(valueHex);
  expect(map.get(key)).toEqual(entry);
  expect(map.entries()).toEqual([{ ...key, ...entry }]);
  expect(readPolicyKey(m, at!.key)).toEqual(key);
  expect(readPolicyEntry(m, at!.value)).toEqual(entry);
});

const key = fc
  .record({
    egress: fc.boolean(),
    identity: fc.oneof(fc.constantFrom(0, 1, 0xffff_ffff), fc.nat()),
    protocol: fc.constantFrom(0, 6, 17),
    dport: fc.oneof(fc.constantFrom(0, 80), fc.integer({ min: 0, max: 65_535 })),
    portPrefixLen: fc.integer({ min: 1, max: 16 }),
  })
  .map((k) => {
    const dport = k.protocol === 0 ? 0 : k.dport & (0xffff << (16 - k.portPrefixLen)) & 0xffff;
    return { ...k, dport, portPrefixLen: dport === 0 ? 0 : k.portPrefixLen };
  });
const entry = fc.record({
  deny: fc.boolean(),
  proxyPort: fc.integer({ min: 0, max: 65_535 }),
  proxyPortPriority: fc.integer({ min: 0, max: 255 }),
  authType: fc.integer({ min: 0, max: 127 }),
  hasExplicitAuth: fc.boolean(),
});

test('what was written is read back, from any thread', () => {
  const m = Memory.create(8 * MIB);
  fc.assert(
    fc.property(fc.array(fc.tuple(key, entry), { maxLength: 40 }), fc.nat(), (rows, drop) => {
      const map = PolicyMap.create(m, 1, 100);
      const model = new Map(rows.map(([k, e]) => [JSON.stringify(k), { ...k, ...e }]));
      for (const [k, e] of rows) map.update(k, e);
      const dropped = rows[drop % Math.max(1, rows.length)]?.[0];
      if (dropped) {
        map.delete(dropped);
        model.delete(JSON.stringify(dropped));
        expect(map.get(dropped)).toBeUndefined();
        expect(thrown(() => map.delete(dropped))).toMatchObject({ code: 'ENOENT' });
      }
      const reader = PolicyMap.open(Memory.attach(m.buffer), 1);
      const sorted = (all: object[]): string[] => all.map((e) => JSON.stringify(e)).sort();
      expect(sorted(reader.entries())).toEqual(sorted([...model.values()]));
      for (const { value } of map.trie.entries()) {
        const k = readPolicyKey(m, map.trie.keyOf(value));
        expect(lpmPrefixLength(m, value)).toBe(k.protocol === 0 ? 0 : 8 + k.portPrefixLen);
      }
      map.destroy();
    }),
    { seed, numRuns: 200 },
  );
});

test('the map of an endpoint is pinned under its number until it is destroyed', () => {
  const m = Memory.create(MIB);
  expect(policyMapName(123)).toBe('cilium_policy_v2_00123');
  const error = thrown(() => PolicyMap.open(m, 123));
  expect(error).toMatchObject({ code: 'ENOENT', context: { name: 'cilium_policy_v2_00123' } });
  const first = PolicyMap.create(m, 123, 10);
  expect(pinned(m, 'cilium_policy_v2_00123')).toBe(first.address);
  const used = m.usedBytes;
  expect(thrown(() => PolicyMap.create(m, 123, 10))).toMatchObject({ code: 'EEXIST' });
  expect(m.usedBytes).toBe(used);
  first.destroy();
  expect(pinned(m, 'cilium_policy_v2_00123')).toBe(0);
});

test('a full map refuses, and says which key of which endpoint', () => {
  const map = PolicyMap.create(Memory.create(MIB), 5, 1);
  map.update(any, allow);
  expect(thrown(() => map.update(http, allow))).toMatchObject({
    code: 'ENOSPC',
    context: { endpoint: 5, direction: 'ingress', identity: 0x1234, protocol: 6, dport: 80 },
  });
});

test.each([
  ['a port without a protocol', { ...any, dport: 80, portPrefixLen: 16 }],
  ['a port prefix without a port', { ...http, dport: 0 }],
  ['more than 16 bits of port', { ...http, portPrefixLen: 17 }],
])('%s is no key', (_name, k) => {
  const map = PolicyMap.create(Memory.create(MIB), 5, 1);
  expect(thrown(() => map.update(k, allow))).toMatchObject({ code: 'EINVAL' });
});
