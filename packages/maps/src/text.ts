// Map bytes as Cilium's command-line tools print them. Bytes are views or copies; nothing here is for the hot path.

export const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
export const le16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
export const le32 = (bytes: Uint8Array, at: number): number => (le16(bytes, at) | (le16(bytes, at + 2) << 16)) >>> 0;
/** Exact up to 2^53, which no counter here reaches. */
export const le64 = (bytes: Uint8Array, at: number): number => le32(bytes, at) + le32(bytes, at + 4) * 2 ** 32;

/** Two lower-case digits a byte. */
export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** `%#0<digits>x` of Go: `0x0013`. */
export const hexNumber = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

/** An address of 4 or 16 bytes in the order of the wire, IPv6 as RFC 5952 wants it. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => be16(bytes, 2 * i).toString(16));
  const { from, length } = longestZeros(groups);
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + length).join(':')}`;
}

function longestZeros(groups: readonly string[]): { from: number; length: number } {
  let best = { from: 0, length: 0 };
  for (let from = 0; from < groups.length; from++) {
    let length = 0;
    while (groups[from + length] === '0') length++;
    if (length > best.length) best = { from, length };
  }
  return best;
}

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export const hostPort = (address: Uint8Array, port: number): string =>
  address.length === 4 ? `${addressText(address)}:${port}` : `[${addressText(address)}]:${port}`;

const PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'ANY',
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
};
/** Source: pkg/u8proto. */
export const u8protoText = (protocol: number): string => PROTOCOLS[protocol] ?? `${protocol}`;

/** `02:00:00:00:00:05` in upper case, as mac_t prints. */
export const macText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(':');
