// ClientHellos written by hand, so that the reader is held against the RFC and not against itself.

const u16 = (value: number): number[] => [value >> 8, value & 0xff];
const u24 = (value: number): number[] => [value >> 16, ...u16(value & 0xffff)];
export const vector8 = (bytes: readonly number[]): number[] => [bytes.length, ...bytes];
export const vector16 = (bytes: readonly number[]): number[] => [...u16(bytes.length), ...bytes];
const ascii = (value: string): number[] => [...Buffer.from(value, 'latin1')];

export const extension = (type: number, content: readonly number[]): number[] => [...u16(type), ...vector16(content)];
/** The extension `server_name` with these names. */
export const serverNames = (...names: string[]): number[] =>
  extension(0, vector16(names.flatMap((name) => [0, ...vector16(ascii(name))])));
const ALPN = extension(16, vector16(vector8(ascii('http/1.1'))));
export const VERSIONS = extension(43, vector8(u16(0x0304)));

/** The message, without its header. @param extensions undefined: none, not even an empty list */
export const helloBody = (extensions: readonly number[] | undefined, session = 32): number[] => [
  ...u16(0x0303),
  ...Array.from({ length: 32 }, (_, index) => index),
  ...vector8(new Array<number>(session).fill(7)),
  ...vector16([0x13, 0x01, 0x13, 0x02]),
  ...vector8([0]),
  ...(extensions === undefined ? [] : vector16(extensions)),
];

export const handshake = (type: number, body: readonly number[]): number[] => [type, ...u24(body.length), ...body];
export const record = (content: readonly number[], type = 22, version = 0x0301): number[] => [
  ...[type, ...u16(version)],
  ...vector16(content),
];

/** The first flight of a client that asks for a name. @param recordBytes longest content of a record */
export function clientHello(name: string | undefined, recordBytes = 16_384): Uint8Array {
  const extensions = [...VERSIONS, ...(name === undefined ? [] : serverNames(name)), ...ALPN];
  const message = handshake(1, helloBody(extensions));
  const out: number[] = [];
  for (let at = 0; at < message.length; at += recordBytes) out.push(...record(message.slice(at, at + recordBytes)));
  return new Uint8Array(out);
}
