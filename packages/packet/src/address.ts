import { formatAddress, parseAddress } from './netip.ts';

/**
 * An IP address of either family: IPv4 as a host-order number below 2^32 (10.0.0.1 is 0x0a000001), IPv6 as a bigint of 128
 * bits (2001:db8::1 is 0x20010db8000000000000000000000001n). So no address of one family equals one of the other, with
 * `===` and as the key of a Map. For the control plane and for printing: the data plane leaves addresses where they lie.
 */
export type IpAddress = number | bigint;

export const isIpv6 = (address: IpAddress): address is bigint => typeof address === 'bigint';

/** `10.0.0.1`, `2001:db8::1`: the canonical text, of IPv6 that of RFC 5952. */
export const formatIp = (address: IpAddress): string =>
  formatAddress({ bits: isIpv6(address) ? 128 : 32, value: BigInt(address), zone: '' });

/** The address of a text, or undefined if it is none. Zones (`fe80::1%eth0`) have no place here. */
export function parseIp(text: string): IpAddress | undefined {
  const address = parseAddress(text);
  if (address === undefined || address.zone !== '') return undefined;
  return address.bits === 32 ? Number(address.value) : address.value;
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`, `name:80`. @param host an address or a name. Source: Go's net.JoinHostPort */
export const joinHostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

export const formatIpPort = (address: IpAddress, port: number): string => joinHostPort(formatIp(address), port);

/** The address of 4 or 16 bytes in the order of the wire. */
export function ipOfBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** 4 or 16 bytes in the order of the wire. */
export function bytesOfIp(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(isIpv6(address) ? 16 : 4);
  let rest = BigInt(address);
  for (let i = bytes.length - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}
