import { createHash } from 'node:crypto';
import { BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH, type BpfMap } from '@ciliate/maps';
import { SKB } from '../machine/packet.ts';
import type { Image } from '../object/link.ts';
import type { TestRun } from '../run/test_run.ts';
import type { TestOutcome } from './suite.ts';

/** Longer packets are told by their hash alone. */
const MAX_HEX_BYTES = 700;
const MAX_ENTRIES = 64;
const DUMPED: readonly number[] = [BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LPM_TRIE];
const FIELDS: readonly (readonly [string, number])[] = [
  ['cb0', SKB.cb],
  ['cb1', SKB.cb + 4],
  ['cb2', SKB.cb + 8],
  ['cb3', SKB.cb + 12],
  ['cb4', SKB.cb + 16],
  ['ifindex', SKB.ifindex],
  ['ingress_ifindex', SKB.ingressIfindex],
  ['mark', SKB.mark],
  ['priority', SKB.priority],
  ['tstamp', SKB.tstamp],
  ['wire_len', SKB.wireLen],
];

export interface PhaseRecord {
  status: number;
  data: { len: number; sha256: string; hex?: string };
  /** The fields of the context that are not 0; null for XDP. */
  ctx: Record<string, number> | null;
}
export interface TestRecord {
  test: string;
  check_status: number | null;
  pktgen?: PhaseRecord;
  setup?: PhaseRecord;
  results: { name: string; status: string }[] | null;
  messages?: string[];
}
export interface ObjectRecord {
  tests: TestRecord[];
  maps_after_all_tests: Record<string, { count: number; entries_key_eq_value_hex_max64: string[] }>;
}

/** What `ciliate bpf test --json` says about an object: the form in which recordings of the kernel are kept. */
export function objectRecord(image: Image, outcomes: readonly TestOutcome[], isXdp: boolean): ObjectRecord {
  const maps: ObjectRecord['maps_after_all_tests'] = {};
  for (const [name, map] of [...image.maps].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!DUMPED.includes(map.type) || map.count === 0) continue;
    const entries = entriesHex(map);
    maps[name] = { count: entries.length, entries_key_eq_value_hex_max64: entries.slice(0, MAX_ENTRIES) };
  }
  return { tests: outcomes.map((outcome) => testRecord(outcome, isXdp)), maps_after_all_tests: maps };
}

function testRecord({ name, pktgen, setup, check, results, messages }: TestOutcome, isXdp: boolean): TestRecord {
  return {
    test: name,
    check_status: check?.status ?? null,
    ...(pktgen === undefined ? {} : { pktgen: phaseRecord(pktgen, isXdp) }),
    ...(setup === undefined ? {} : { setup: phaseRecord(setup, isXdp) }),
    results: results.length === 0 ? null : results.map((r) => ({ name: r.name, status: r.status })),
    ...(messages.length === 0 ? {} : { messages }),
  };
}

function phaseRecord({ status, data, context }: TestRun, isXdp: boolean): PhaseRecord {
  const view = new DataView(context.buffer, context.byteOffset);
  const fields = FIELDS.map(
    ([field, at]) =>
      [field, field === 'tstamp' ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true)] as const,
  );
  return {
    status,
    data: {
      len: data.length,
      sha256: createHash('sha256').update(data).digest('hex'),
      ...(data.length <= MAX_HEX_BYTES ? { hex: Buffer.from(data).toString('hex') } : {}),
    },
    ctx: isXdp ? null : Object.fromEntries(fields.filter(([, value]) => value !== 0)),
  };
}

function entriesHex(map: BpfMap): string[] {
  const hex = (at: number, size: number): string => Buffer.from(map.memory.u8.slice(at, at + size)).toString('hex');
  return [...map.entries()]
    .map(({ key, value }) => `${hex(key, map.spec.keySize)}=${hex(value, map.spec.valueSize)}`)
    .sort();
}
