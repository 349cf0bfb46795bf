import {
  type Address,
  masked,
  parseAddress as readAddress,
  parsePrefix as readPrefix,
  formatAddress as writeAddress,
} from '@ciliate/labels';
import { type IpAddress, isIpv6 } from '@ciliate/packet';
import { IdentityError } from '../errors.ts';

/** A block of addresses; the bits after the prefix are 0. Equal prefixes have equal texts. */
export interface Prefix {
  readonly family: 4 | 6;
  /** The first address of the block, as a number of 32 or 128 bits. */
  readonly address: bigint;
  /** Number of bits that count: 0..32 or 0..128. */
  readonly length: number;
}

/** The block of one address. */
export const prefixOf = (address: IpAddress): Prefix =>
  isIpv6(address) ? { family: 6, address, length: 128 } : { family: 4, address: BigInt(address), length: 32 };

/** The first address of the block. */
export const addressOf = ({ family, address }: Prefix): IpAddress => (family === 4 ? Number(address) : address);

/** Width of an address in bits. */
export const addressBits = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/**
 * Read `10.0.0.0/8` or `2001:db8::/32`; bits after the prefix are cleared, a bare address is a block of one.
 * @throws IdentityError INVALID
 */
export function parsePrefix(text: string): Prefix {
  if (!text.includes('/')) {
    const { family, address } = parseAddress(text);
    return { family, address, length: addressBits(family) };
  }
  const prefix = readPrefix(text);
  if (prefix === undefined) throw invalid(text);
  const { address, length } = masked(prefix);
  return { family: familyOf(address), address: address.value, length };
}

/** @throws IdentityError INVALID; zones (`fe80::1%eth0`) have no place here */
export function parseAddress(text: string): { family: 4 | 6; address: bigint } {
  const address = readAddress(text);
  if (address === undefined || address.zone !== '') throw invalid(text);
  return { family: familyOf(address), address: address.value };
}

const familyOf = ({ bits }: Address): 4 | 6 => (bits === 32 ? 4 : 6);

/** `10.0.0.0/8`; IPv6 as RFC 5952 wants it, an IPv4 address in it in dotted form. */
export const formatPrefix = ({ family, address, length }: Prefix): string =>
  `${formatAddress(family, address)}/${length}`;

export const formatAddress = (family: 4 | 6, value: bigint): string =>
  writeAddress({ bits: family === 4 ? 32 : 128, value, zone: '' });

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
