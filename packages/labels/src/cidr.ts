import { parsePrefix } from '@ciliate/packet';

const MASK = 0xffff_ffffn;

/** The prefix that the key of a `cidr:` label names, as 32-bit words: one for IPv4, four for IPv6. */
export interface CidrPrefix {
  readonly words: readonly number[];
  readonly length: number;
}

/** Does every address of `inner` lie in `outer`? */
export function cidrContains(outer: CidrPrefix, inner: CidrPrefix): boolean {
  if (outer.words.length !== inner.words.length || outer.length > inner.length) return false;
  for (let bits = outer.length, at = 0; bits > 0; bits -= 32, at++) {
    const mask = bits >= 32 ? -1 : ~(-1 >>> bits);
    if (((outer.words[at]! ^ inner.words[at]!) & mask) !== 0) return false;
  }
  return true;
}

/** `10.0.0.0/8`, or `2001-db8--0/32`: in labels `-` stands for `:`. undefined if it is none. Source: pkg/labels/cidr.go. */
export function parseCidrKey(key: string): CidrPrefix | undefined {
  const prefix = parsePrefix(key.replaceAll('-', ':'));
  if (prefix === undefined) return undefined;
  const { bits, value } = prefix.address;
  const words = Array.from({ length: bits / 32 }, (_, at) => Number((value >> BigInt(bits - 32 - 32 * at)) & MASK) | 0);
  return { words, length: prefix.length };
}
