import fc from 'fast-check';
import { expect, test } from 'vitest';
import { comparePrefixes, formatPrefix, IdentityError, parsePrefix } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

test.each<[name: string, text: string, want: string]>([
  ['a prefix is itself', '10.0.0.0/8', '10.0.0.0/8'],
  ['bits after it are cleared', '10.1.2.3/8', '10.0.0.0/8'],
  ['a bare IPv4 address is a block of one', '10.1.2.3', '10.1.2.3/32'],
  ['so is a bare IPv6 address', '2001:db8::1', '2001:db8::1/128'],
  ['all of IPv4', '1.2.3.4/0', '0.0.0.0/0'],
  ['all of IPv6', '2001::/0', '::/0'],
  ['zeros are left out where most of them are', '2001:0:0:1:0:0:0:1', '2001:0:0:1::1/128'],
  ['the first of two equal runs', '2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1/128'],
  ['one group of zeros stays', '2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1/128'],
  ['capital letters become small', 'FD00::A/64', 'fd00::/64'],
  ['IPv4 in IPv6 is written with dots', '::ffff:a00:1', '::ffff:10.0.0.1/128'],
  ['and may be given so', '64:ff9b::10.0.0.1', '64:ff9b::a00:1/128'],
])('%s', (_name, text, want) => {
  expect(formatPrefix(parsePrefix(text))).toBe(want);
});

test.each([
  ...['', '10.0.0', '10.0.0.256', '10.0.0.01', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/8/8', 'a.b.c.d'],
  ...[
    '::/129',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8::',
    'fe80::1%eth0',
    '10.0.0.1::',
    '12345::',
    ' ::1',
  ],
])('%j is no prefix', (text) => {
  expect(() => parsePrefix(text)).toThrow(IdentityError);
});

const address = fc.oneof(
  fc.tuple(fc.constant(4 as const), fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), fc.nat(32)),
  // Groups of few values, so that runs of zeros are common.
  fc.tuple(
    fc.constant(6 as const),
    fc
      .array(fc.constantFrom(0n, 0n, 1n, 0xffffn), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce<bigint>((all, group) => (all << 16n) | group, 0n)),
    fc.nat(128),
  ),
);

test('what is printed is read as the same prefix', () => {
  fc.assert(
    fc.property(address, ([family, value, length]) => {
      const bits = BigInt((family === 4 ? 32 : 128) - length);
      const prefix = { family, address: (value >> bits) << bits, length };
      expect(parsePrefix(formatPrefix(prefix))).toEqual(prefix);
    }),
    { seed, numRuns: 500 },
  );
});

test('IPv4 comes before IPv6, then the address counts, then the length', () => {
  const sorted = ['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/16', '10.1.0.0/16', '::/0', '::1/128', '2001::/16'];
  const shuffled = [4, 1, 6, 0, 3, 5, 2].map((i) => parsePrefix(sorted[i]!));
  expect(shuffled.sort(comparePrefixes).map(formatPrefix)).toEqual(sorted);
});
