import fc from 'fast-check';
import { expect, test } from 'vitest';
import { containsAddress, formatAddress, formatPrefix, masked, parseAddress, parsePrefix } from '../src/netip.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const canonical = (text: string): string | undefined => {
  const address = parseAddress(text);
  return address && formatAddress(address);
};

test.each<[sentence: string, text: string, want: string | undefined]>([
  ['IPv4', '10.0.0.1', '10.0.0.1'],
  ['the unspecified address', '::', '::'],
  ['zeros are left out where there are most', '1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['of equal runs of zeros the first', '1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
  ['a single zero stays', '1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ['capital letters and zeros in front', '2001:0DB8::00a', '2001:db8::a'],
  ['IPv4 at the end', '64:ff9b::1.2.3.4', '64:ff9b::102:304'],
  ['IPv4 in IPv6 form stays IPv6', '::ffff:1.2.3.4', '::ffff:1.2.3.4'],
  ['a zone is left out of the text', 'fe80::1%eth0', 'fe80::1'],
  ['a zone of any letters', 'fe80::1%eth0/64', 'fe80::1'],
  ['three numbers', '1.2.3', undefined],
  ['a number above 255', '1.2.3.256', undefined],
  ['a zero in front of a number', '1.2.3.04', undefined],
  ['a sign', '1.2.3.+4', undefined],
  ['seven groups', '1:2:3:4:5:6:7', undefined],
  ['nine groups', '1:2:3:4:5:6:7:8:9', undefined],
  ['two gaps', '1::2::3', undefined],
  ['a gap of nothing', '1:2:3:4::5:6:7:8', undefined],
  ['a colon too many', '1:2:3:4:5:6:7:', undefined],
  ['three colons', ':::1', undefined],
  ['five digits in a group', '12345::', undefined],
  ['IPv4 before the end', '1.2.3.4::', undefined],
  ['IPv4 before a gap', '::1.2.3.4:5', undefined],
  ['IPv4 where no room is left', '1:2:3:4:5:6:7:1.2.3.4', undefined],
  ['an empty zone', 'fe80::1%', undefined],
  ['a zone of IPv4', '1.2.3.4%eth0', undefined],
  ['a space', ' 1.2.3.4', undefined],
  ['nothing', '', undefined],
])('address: %s', (_sentence, text, want) => expect(canonical(text)).toBe(want));

test.each<[sentence: string, text: string, want: string | undefined]>([
  ['bits behind the length are masked', '10.1.2.3/8', '10.0.0.0/8'],
  ['a length of 0', '1.2.3.4/0', '0.0.0.0/0'],
  ['a whole address', 'fd00::1/128', 'fd00::1/128'],
  ['a length within a group', '2001:db8:ffff::/33', '2001:db8:8000::/33'],
  ['IPv4 in IPv6 form', '::ffff:10.1.2.3/104', '::ffff:10.0.0.0/104'],
  ['no length', '10.0.0.0', undefined],
  ['a length that is too large', '10.0.0.0/33', undefined],
  ['a length with a zero in front', '10.0.0.0/08', undefined],
  ['a length with a sign', '10.0.0.0/+8', undefined],
  ['a mask', '10.0.0.0/255.0.0.0', undefined],
  ['a zone', 'fe80::1%eth0/64', undefined],
])('prefix: %s', (_sentence, text, want) => {
  const prefix = parsePrefix(text);
  expect(prefix && formatPrefix(masked(prefix))).toBe(want);
});

const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 });
const long = (list: readonly number[]): string => list.map((group) => group.toString(16)).join(':');

test('the canonical text of an address is read as the same address', () => {
  fc.assert(
    fc.property(groups, (list) => {
      const address = parseAddress(long(list))!;
      expect(parseAddress(formatAddress(address))).toEqual(address);
    }),
    { seed, numRuns: 500 },
  );
});

test('a prefix contains the addresses that begin with the same bits', () => {
  const bitsOf = (list: readonly number[]): string => list.map((group) => group.toString(2).padStart(16, '0')).join('');
  const flipped = (list: readonly number[], at: number): number[] =>
    list.map((group, index) => (index === at >> 4 ? group ^ (0x8000 >> (at & 15)) : group));
  fc.assert(
    fc.property(groups, fc.nat(128), fc.nat(127), (list, length, at) => {
      const other = flipped(list, at);
      const prefix = parsePrefix(`${long(list)}/${length}`)!;
      const same = bitsOf(list).slice(0, length) === bitsOf(other).slice(0, length);
      expect(containsAddress(prefix, parseAddress(long(other))!)).toBe(same);
    }),
    { seed, numRuns: 500 },
  );
});
