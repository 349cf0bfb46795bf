/**
 * The fewest prefixes of a 16-bit port that together hold exactly `low`..`high`, in ascending order. Port 0, which nothing
 * uses, is left out: a key with port 0 means any port in a policy map.
 */
export function portPrefixes(low: number, high: number): { port: number; length: number }[] {
  const prefixes: { port: number; length: number }[] = [];
  for (let port = Math.max(1, low); port <= high; ) {
    let size = port & -port;
    while (port + size - 1 > high) size /= 2;
    prefixes.push({ port, length: 16 - Math.log2(size) });
    port += size;
  }
  return prefixes;
}
