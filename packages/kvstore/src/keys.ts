/**
 * Keys and values inside the store are byte strings: JavaScript strings whose every unit is one byte (0 to 255). They
 * compare with `<` in the order of their bytes, cannot be changed under the store's hands, and cost V8 one byte each.
 */
export type Bytes = string;

const ASCII = /^[\0-\x7f]*$/;
const decoder = new TextDecoder();

/** The UTF-8 bytes of a text. */
export const fromText = (text: string): Bytes =>
  ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');

export const toText = (bytes: Bytes): string => (ASCII.test(bytes) ? bytes : decoder.decode(toArray(bytes)));

export const fromArray = (array: Uint8Array): Bytes =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('latin1');

export function toArray(bytes: Bytes): Uint8Array {
  const array = new Uint8Array(bytes.length);
  Buffer.from(array.buffer).write(bytes, 'latin1');
  return array;
}

/**
 * A range as etcd writes it: `end` is exclusive; empty: only `key`; one zero byte: all from `key` on.
 * Source: etcd, api/etcdserverpb/rpc.proto, RangeRequest.range_end.
 */
export interface KeyRange {
  readonly key: Bytes;
  readonly end: Bytes;
}

export const FROM_KEY: Bytes = '\0';

export const contains = ({ key, end }: KeyRange, candidate: Bytes): boolean =>
  end === '' ? candidate === key : candidate >= key && (end === FROM_KEY || candidate < end);

/** All keys with the prefix; the empty prefix: all keys. */
export function prefixRange(prefix: Bytes): KeyRange {
  let end = prefix;
  while (end.endsWith('\xff')) end = end.slice(0, -1);
  if (end === '') return { key: prefix === '' ? '\0' : prefix, end: FROM_KEY };
  return { key: prefix, end: end.slice(0, -1) + String.fromCharCode(end.charCodeAt(end.length - 1) + 1) };
}
