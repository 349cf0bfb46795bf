/**
 * IP addresses as Go's net/netip reads and writes them, because that decides what Cilium accepts and how labels are
 * spelled. An IPv4 address in IPv6 form (`::ffff:1.2.3.4`) stays an IPv6 address.
 */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
  /** The interface of `fe80::1%eth0`; '' if none is named. */
  readonly zone: string;
}

/** `address` is as written: bits behind the length may be set. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** @returns undefined if the text is no address */
export function parseAddress(text: string): Address | undefined {
  const first = /[.:%]/.exec(text)?.[0];
  if (first === '.') {
    const value = parseIPv4(text);
    return value === undefined ? undefined : { bits: 32, value, zone: '' };
  }
  if (first !== ':') return undefined;
  const percent = text.indexOf('%');
  const zone = percent < 0 ? '' : text.slice(percent + 1);
  if (percent >= 0 && zone === '') return undefined;
  const value = parseIPv6(percent < 0 ? text : text.slice(0, percent));
  return value === undefined ? undefined : { bits: 128, value, zone };
}

/** @returns undefined if the text is not `address/length`; a zone has no place in it */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (address === undefined || address.zone !== '' || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  return length > address.bits ? undefined : { address, length };
}

/** Without the bits behind its length. */
export function masked({ address, length }: Prefix): Prefix {
  const host = BigInt(address.bits - length);
  return { address: { ...address, value: (address.value >> host) << host }, length };
}

export function containsAddress({ address, length }: Prefix, other: Address): boolean {
  const host = BigInt(address.bits - length);
  return address.bits === other.bits && other.zone === '' && address.value >> host === other.value >> host;
}

/** The canonical text, of IPv6 that of RFC 5952. */
export function formatAddress({ bits, value }: Address): string {
  if (bits === 32) return formatIPv4(value);
  if (value >> 32n === 0xffffn) return `::ffff:${formatIPv4(value & 0xffffffffn)}`;
  const groups = Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(112 - 16 * at)) & 0xffffn));
  const gap = longestZeros(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return gap.length < 2 ? text(groups) : `${text(groups.slice(0, gap.at))}::${text(groups.slice(gap.at + gap.length))}`;
}

export const formatPrefix = ({ address, length }: Prefix): string => `${formatAddress(address)}/${length}`;

const formatIPv4 = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');

/** Four numbers up to 255, none with a zero in front. */
function parseIPv4(text: string): bigint | undefined {
  const fields = text.split('.');
  if (fields.length !== 4 || !fields.every((field) => /^(0|[1-9]\d{0,2})$/.test(field) && Number(field) <= 255)) {
    return undefined;
  }
  return fields.reduce((value, field) => (value << 8n) | BigInt(field), 0n);
}

function parseIPv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, at) => parseGroups(half, at === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const given = head.length + (tail?.length ?? 0);
  if (tail === undefined ? given !== 8 : given > 7) return undefined;
  const zeros = Array<number>(8 - given).fill(0);
  return [...head, ...zeros, ...(tail ?? [])].reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** @param last may its last group be an IPv4 address? */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const fields = text.split(':');
  for (const [at, field] of fields.entries()) {
    const ipv4 = last && at === fields.length - 1 && field.includes('.') ? parseIPv4(field) : undefined;
    if (ipv4 !== undefined) groups.push(Number(ipv4 >> 16n), Number(ipv4 & 0xffffn));
    else if (/^[0-9a-fA-F]{1,4}$/.test(field)) groups.push(Number.parseInt(field, 16));
    else return undefined;
  }
  return groups;
}

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): { at: number; length: number } {
  let longest = { at: 0, length: 0 };
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > longest.length) longest = { at, length: end - at };
    at = Math.max(at, end);
  }
  return longest;
}
