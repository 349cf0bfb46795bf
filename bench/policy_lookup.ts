/**
 * How long does a policy verdict take, by the number of entries in the policy map? Up to two lookups in the LPM trie, as
 * the datapath does them, beside a plain JS Map with string keys (two exact lookups: kinder, it knows no prefixes) and
 * the loop alone. Keys come in batches of BATCH from a seed that the maps do not see; half of them match.
 */
import { PolicyVerdict, policyCanAccess } from '@ciliate/bpf';
import { Memory, PolicyMap, Scratch } from '@ciliate/maps';
import { IPPROTO_TCP } from '@ciliate/packet';
import { Bench } from 'tinybench';
import type { BenchOptions, BenchRow } from './run.ts';

const BATCH = 65_536;
const ALLOW = { deny: false, proxyPort: 0, proxyPortPriority: 0, authType: 0, hasExplicitAuth: false };

export async function run({ quick, seed }: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const entries of quick ? [16, 1024] : [16, 128, 1024, 16_384])
    rows.push(...(await measure(entries, seed, quick)));
  return rows;
}

async function measure(entries: number, seed: number, quick: boolean): Promise<BenchRow[]> {
  const memory = Memory.create(64 * 1024 * 1024);
  const map = PolicyMap.create(memory, 1);
  const plain = new Map<string, boolean>();
  const identityOf = (n: number): number => 256 + (n >> 2);
  const portOf = (n: number): number => 8000 + (n & 3);
  for (let n = 0; n < entries; n++) {
    const key = { egress: false, identity: identityOf(n), protocol: IPPROTO_TCP, dport: portOf(n), portPrefixLen: 16 };
    map.update(key, ALLOW);
    plain.set(`${key.identity}/${IPPROTO_TCP}/${key.dport}`, true);
  }
  const random = xorshift(seed);
  const asked = Uint32Array.from({ length: BATCH }, () => random() % (2 * entries));
  const key = Scratch.create(memory, 16).take(12);
  const verdict = new PolicyVerdict();
  const sums = { trie: 0, map: 0 };

  const bench = new Bench({ time: quick ? 200 : 1000, warmupTime: 100 });
  bench.add('lpm-trie', () => {
    let allowed = 0;
    for (let i = 0; i < BATCH; i++) {
      const n = asked[i]!;
      if (policyCanAccess(memory, map.trie, key, identityOf(n), 0, IPPROTO_TCP, portOf(n), false, verdict) === 0)
        allowed++;
    }
    sums.trie = allowed;
  });
  bench.add('js-map', () => {
    let allowed = 0;
    for (let i = 0; i < BATCH; i++) {
      const n = asked[i]!;
      const port = portOf(n);
      if (plain.has(`${identityOf(n)}/${IPPROTO_TCP}/${port}`) || plain.has(`0/${IPPROTO_TCP}/${port}`)) allowed++;
    }
    sums.map = allowed;
  });
  let sink = 0;
  bench.add('empty', () => {
    for (let i = 0; i < BATCH; i++) sink = (sink + identityOf(asked[i]!) + portOf(asked[i]!)) | 0;
  });
  await bench.run();
  if (sums.trie !== sums.map || sums.trie === 0) throw new Error(`verdicts differ: ${JSON.stringify(sums)}, ${sink}`);
  return bench.tasks.map(({ name, result }) => {
    if (result.state !== 'completed') throw new Error(`${name} did not complete`);
    const nsPerVerdict = (result.latency.p50 * 1e6) / BATCH;
    return {
      engine: name,
      entries,
      nsPerVerdict: Number(nsPerVerdict.toFixed(1)),
      verdictsPerSecond: Math.round(1e9 / nsPerVerdict),
    };
  });
}

/** Marsaglia's xorshift32. */
function xorshift(seed: number): () => number {
  let x = seed === 0 ? 1 : seed >>> 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x;
  };
}
