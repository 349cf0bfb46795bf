/** Median heap growth per call, in bytes; the median, because a collection inside one round makes it negative. */
export function bytesPerCall(hot: () => unknown, calls = 10_000, rounds = 15): number {
  const growth: number[] = [];
  for (let round = 0; round < 2 * rounds; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < calls; i++) hot();
    if (round >= rounds) growth.push((process.memoryUsage().heapUsed - before) / calls);
  }
  return growth.sort((a, b) => a - b)[rounds >> 1]!;
}
