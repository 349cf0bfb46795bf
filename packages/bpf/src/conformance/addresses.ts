import type { Words } from '../config.ts';

/** be32 of a dotted IPv4 address, as a program on a little-endian machine loads it. */
export function be32Of(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/** The 16 bytes of an IPv6 address without an IPv4 part. */
export function bytesOfIpv6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

export function wordsOfIpv6(text: string): Words {
  const view = new DataView(bytesOfIpv6(text).buffer);
  return [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as unknown as Words;
}

export const bytesOfMac = (text: string): Uint8Array =>
  Uint8Array.from(text.split(':').map((byte) => Number.parseInt(byte, 16)));

export const bytesOfHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
