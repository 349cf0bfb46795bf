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
  const [address = '', length] = key.split('/');
  const words = address.includes('-') ? parseIpv6(address.split('-')) : parseIpv4(address);
  const bits = Number(length);
  return words !== undefined && bits >= 0 && bits <= 32 * words.length ? { words, length: bits } : undefined;
}

function parseIpv4(text: string): [number] | undefined {
  const bytes = text.split('.').map(Number);
  const valid = bytes.length === 4 && bytes.every((byte) => byte >= 0 && byte <= 0xff);
  return valid ? [bytes.reduce((word, byte) => (word << 8) | byte, 0)] : undefined;
}

/** Groups of hexadecimal digits, the last of which may be an IPv4 address; empty ones are where zeros were left out. */
function parseIpv6(groups: readonly string[]): number[] | undefined {
  const numbers = groups.flatMap((group) => {
    const [ipv4] = parseIpv4(group) ?? [];
    return ipv4 === undefined ? [Number.parseInt(group || '0', 16)] : [ipv4 >>> 16, ipv4 & 0xffff];
  });
  const gap = groups.indexOf('');
  if (gap >= 0) numbers.splice(gap, 1, ...Array<number>(Math.max(0, 9 - numbers.length)).fill(0));
  const valid = numbers.length === 8 && numbers.every((number) => number >= 0 && number <= 0xffff);
  return valid ? [0, 2, 4, 6].map((at) => (numbers[at]! << 16) | numbers[at + 1]!) : undefined;
}
