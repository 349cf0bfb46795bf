/** Ports whose first `prefixLen` bits are those of `port`. */
export interface PortPrefix {
  readonly port: number;
  readonly prefixLen: number;
}

/**
 * The fewest prefixes that make up exactly the ports `start`..`end`, in ascending order. `end` not above `start` is one
 * port, 0..0 and 0..65535 are every port. Source: pkg/policy/portrange.go.
 */
export function portRangeToPrefixes(start: number, end: number): PortPrefix[] {
  if (start === 0 && (end === 0 || end === 0xffff)) return [{ port: 0, prefixLen: 0 }];
  if (end <= start) return [{ port: start, prefixLen: 16 }];
  const prefixes: PortPrefix[] = [];
  let port = start;
  while (port <= end) {
    // The largest block that starts here and does not reach beyond the end.
    let bits = port === 0 ? 16 : 31 - Math.clz32(port & -port);
    while (port + 2 ** bits - 1 > end) bits--;
    prefixes.push({ port, prefixLen: 16 - bits });
    port += 2 ** bits;
  }
  return prefixes;
}
