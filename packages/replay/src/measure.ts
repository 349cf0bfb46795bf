import {
  CTX_ACT_DROP,
  cilFromContainer,
  Datapath,
  type DatapathConfig,
  PolicyVerdict,
  policyCanAccess,
  Skb,
} from '@ciliate/bpf';
import { EventRing, type LpmTrie, type Memory, openMap, POLICY_KEY, Reader, Scratch } from '@ciliate/maps';
import { KEY, type LookupTask, type Measurement, type PacketTask } from './protocol.ts';
import { PACKET } from './trace_memory.ts';

/**
 * The measured loops, as one worker runs them. They check their verdicts by a checksum, so that no work can be left out,
 * and time the same loop without the work beside it.
 */
const NS_PER_MS = 1e6;
const RING_BYTES = 64 * 1024;

/** A pass over all questions or packets; answers a checksum of the verdicts. */
type Pass = () => number;

/** Policy verdicts: each up to two lookups in the LPM trie of an endpoint's policy map. */
export function measureLookups(memory: Memory, { keys, durationMs }: LookupTask): Measurement {
  const words = memory.u32;
  const maps = new Map<number, LpmTrie>();
  const tries: LpmTrie[] = [];
  for (let i = 0; i < keys.count; i++) {
    const address = words[(keys.index >> 2) + i * KEY.words + KEY.map]!;
    if (!maps.has(address)) maps.set(address, openMap(memory, address) as LpmTrie);
    tries.push(maps.get(address)!);
  }
  const scratch = Scratch.create(memory, 16);
  const key = scratch.take(POLICY_KEY.size);
  const verdict = new PolicyVerdict();
  const first = keys.index >> 2;
  const lookups: Pass = () => {
    let sum = 0;
    for (let i = 0, at = first; i < keys.count; i++, at += KEY.words) {
      const egress = words[at + KEY.egress] === 1 ? 1 : 0;
      const protocol = words[at + KEY.protocol]!;
      const ret = policyCanAccess(
        memory,
        tries[i]!,
        key,
        words[at + KEY.identity]!,
        egress,
        protocol,
        words[at + KEY.dport]!,
        false,
        verdict,
      );
      sum = (sum + Math.imul(i + 1, ret + verdict.proxyPort + 1)) | 0;
    }
    return sum;
  };
  const empty: Pass = () => {
    let sum = 0;
    for (let i = 0, at = first; i < keys.count; i++, at += KEY.words) {
      const egress = words[at + KEY.egress] === 1 ? 1 : 0;
      const asked = words[at + KEY.identity]! + egress + words[at + KEY.protocol]! + words[at + KEY.dport]!;
      sum = (sum + Math.imul(i + 1, asked)) | 0;
    }
    return sum;
  };
  return measure(memory, lookups, empty, keys.count, durationMs);
}

/** Packets through `cilFromContainer`, each as it stands: conntrack, services, both policies, events. No one reads the events. */
export function measurePackets(
  memory: Memory,
  seed: number,
  config: DatapathConfig,
  { trace, shards, durationMs }: PacketTask,
): Measurement {
  const words = memory.u32;
  const events = EventRing.create(memory, RING_BYTES);
  const datapaths = new Map(shards.map((shard) => [shard, new Datapath(memory, { shard, seed, config, events })]));
  const skb = new Skb(memory);
  const mine: { place: number; at: number; length: number; datapath: Datapath; endpoint: number; ifindex: number }[] =
    [];
  for (let i = 0; i < trace.count; i++) {
    const entry = (trace.index >> 2) + i * PACKET.words;
    const datapath = datapaths.get(words[entry + PACKET.shard]!);
    if (datapath === undefined) continue;
    const endpoint = words[entry + PACKET.endpoint]!;
    const { ifindex } = datapath.program(endpoint)!;
    const at = words[entry + PACKET.at]!;
    mine.push({ place: i + 1, at, length: words[entry + PACKET.length]!, datapath, endpoint, ifindex });
  }
  const packets: Pass = () => {
    let sum = 0;
    for (let i = 0; i < mine.length; i++) {
      const { place, at, length, datapath, endpoint, ifindex } = mine[i]!;
      skb.loadFrom(at, length, ifindex);
      const action = cilFromContainer(datapath, datapath.program(endpoint)!, skb);
      sum = (sum + Math.imul(place, action * 65_537 + skb.mark + skb.redirectIfindex)) | 0;
    }
    return sum;
  };
  const empty: Pass = () => {
    let sum = 0;
    for (let i = 0; i < mine.length; i++) {
      const { place, at, length, ifindex } = mine[i]!;
      skb.loadFrom(at, length, ifindex);
      sum = (sum + Math.imul(place, CTX_ACT_DROP * 65_537 + skb.mark + skb.redirectIfindex)) | 0;
    }
    return sum;
  };
  try {
    return measure(memory, packets, empty, mine.length, durationMs);
  } finally {
    events.destroy();
    for (const datapath of datapaths.values()) datapath.destroy();
    skb.destroy();
  }
}

/** Passes until the time is over, in rounds that are long against the clock's resolution. */
function measure(memory: Memory, work: Pass, empty: Pass, perPass: number, durationMs: number): Measurement {
  if (perPass === 0) return { operations: 0, elapsedNs: 0, overheadNs: 0, checksum: 0, mismatches: 0 };
  const reader = Reader.join(memory);
  try {
    work(); // meets an empty conntrack; what follows meets the connections that it left
    reader.quiet();
    const wanted = passes(work, durationMs / 4, () => reader.quiet()).checksum; // warms up
    const { count, elapsedNs, checksum, mismatches } = passes(work, durationMs, () => reader.quiet(), wanted);
    passes(empty, durationMs / 8, () => reader.quiet());
    const idle = passes(empty, durationMs / 4, () => reader.quiet());
    const overheadNs = (idle.elapsedNs / idle.count) * count;
    return { operations: count * perPass, elapsedNs, overheadNs, checksum, mismatches };
  } finally {
    reader.leave(); // a reader that stays would hold up the writer for ever
  }
}

function passes(pass: Pass, durationMs: number, quiet: () => void, wanted?: number) {
  const began = performance.now();
  let count = 0;
  let mismatches = 0;
  let checksum = 0;
  let elapsed = 0;
  do {
    checksum = pass();
    if (wanted !== undefined && checksum !== wanted) mismatches++;
    count++;
    quiet();
    elapsed = performance.now() - began;
  } while (elapsed < durationMs);
  return { count, elapsedNs: elapsed * NS_PER_MS, checksum, mismatches };
}
