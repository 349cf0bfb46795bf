import { IdentityError } from '../errors.ts';

/** A block of addresses; the bits after the prefix are 0. Equal prefixes have equal texts. */
export interface Prefix {
  readonly family: 4 | 6;
  /** The first address of the block, as a number of 32 or 128 bits. */
  readonly address: bigint;
  /** Number of bits that count: 0..32 or 0..128. */
  readonly length: number;
}

/** Width of an address in bits. */
export const addressBits = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/**
 * Read `10.0.0.0/8` or `2001:db8::/32`; bits after the prefix are cleared, a bare address is a block of one.
 * @throws IdentityError INVALID
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.lastIndexOf('/');
  const { family, address } = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (slash < 0) return { family, address, length: addressBits(family) };
  const digits = text.slice(slash + 1);
  const length = Number(digits);
  if (!/^(0|[1-9][0-9]*)$/.test(digits) || length > addressBits(family)) throw invalid(text);
  return { family, address: maskAddress(family, address, length), length };
}

/** @throws IdentityError INVALID; zones (`fe80::1%eth0`) and numbers with leading zeros are refused, as in Go's netip */
export function parseAddress(text: string): { family: 4 | 6; address: bigint } {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return { family: 4, address: ipv4 };
  const ipv6 = parseIpv6(text);
  if (ipv6 === undefined) throw invalid(text);
  return { family: 6, address: ipv6 };
}

/** `10.0.0.0/8`; IPv6 as RFC 5952 wants it, an IPv4 address in it in dotted form. */
export const formatPrefix = ({ family, address, length }: Prefix): string =>
  `${formatAddress(family, address)}/${length}`;

export function formatAddress(family: 4 | 6, address: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 0xffn).join('.');
  if (address >> 32n === 0xffffn) return `::ffff:${formatAddress(4, address & 0xffff_ffffn)}`;
  const groups = Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(112 - 16 * i)) & 0xffffn));
  const [start, end] = longestZeros(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return end - start < 2 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(end))}`;
}

/** The address with only its first `length` bits kept. */
export function maskAddress(family: 4 | 6, address: bigint, length: number): bigint {
  const rest = BigInt(addressBits(family) - length);
  return (address >> rest) << rest;
}

/** IPv4 before IPv6, then by address, shorter prefixes first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.length - b.length;
}

const invalid = (text: string): IdentityError =>
  new IdentityError('INVALID', `${JSON.stringify(text)} is no address or prefix`);

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  const isByte = (part: string): boolean => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 0xff;
  return parts.length === 4 && parts.every(isByte)
    ? parts.reduce((address, part) => (address << 8n) | BigInt(part), 0n)
    : undefined;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::').map(groupsOf);
  const [head, tail] = halves;
  if (head === undefined || halves.length > 2 || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  // Only the very end may be an IPv4 address.
  if (tail !== undefined && text.split('::')[0]!.includes('.')) return undefined;
  const groups = [...head, ...Array<bigint>(missing).fill(0n), ...(tail ?? [])];
  return groups.reduce((address, group) => (address << 16n) | group, 0n);
}

/** The groups between colons, a trailing IPv4 address as two; none for ''. */
function groupsOf(text: string): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    const ipv4 = i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (ipv4 !== undefined) groups.push(ipv4 >> 16n, ipv4 & 0xffffn);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return groups;
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): [start: number, end: number] {
  let longest: [number, number] = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > longest[1] - longest[0]) longest = [start, end];
  }
  return longest;
}
