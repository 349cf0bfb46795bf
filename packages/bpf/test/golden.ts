import {
  type BpfMap,
  createCtMaps,
  ctMapName,
  ENDPOINT_INFO,
  ENDPOINT_KEY,
  EventRing,
  HashMap,
  IPCACHE_KEY,
  IPCACHE_MAP_NAME,
  LB4_BACKEND,
  LB4_BACKENDS_MAP_NAME,
  LB4_KEY,
  LB4_REVERSE_NAT,
  LB4_REVERSE_NAT_MAP_NAME,
  LB4_SERVICE,
  LB4_SERVICES_MAP_NAME,
  LpmTrie,
  LXC_MAP_NAME,
  Memory,
  openMap,
  PolicyMap,
  pin,
  pinned,
  policyMapName,
  REMOTE_ENDPOINT_INFO,
  Scratch,
} from '@ciliate/maps';
import { cilFromContainer, Datapath, Skb } from '../src/index.ts';

/**
 * One scenario of what Cilium's own programs did in a kernel: maps, packets in, and for each packet what came out.
 * Map contents are hex of the exact bytes. Source and format: the project's conformance set `datapath`.
 */
export interface Scenario {
  name: string;
  aggregation: 0 | 1 | 3;
  maps: { map: string; key: string; value: string }[];
  endpoints: number[];
  steps: (
    | { op: 'packet'; endpoint: number; ifindex: number; packet: string; expect: Expected }
    | { op: 'map_set'; map: string; key: string; value: string }
    | { op: 'map_delete'; map: string; key: string }
    | { op: 'advance_clock'; seconds: number }
  )[];
}

/** What a step leaves behind; `ct` by map and key, only what changed. */
export interface Expected {
  ret: number;
  packet: string;
  mark: number;
  redirect: number;
  events: string[];
  ct: Record<string, string>;
}

/** The virtual start of time: far enough from 0 that nothing seems to have been reported lately. */
const START_SECONDS = 100_000;

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (u8: Uint8Array): string => Buffer.from(u8).toString('hex');

/** The maps of a scenario, and a worker on them. */
export function setUp(scenario: Pick<Scenario, 'name' | 'aggregation' | 'maps' | 'endpoints'>) {
  const memory = Memory.create(64 * 1024 * 1024);
  createMaps(memory, scenario.endpoints);
  const scratch = Scratch.create(memory, 128);
  const key = scratch.take(32);
  const value = scratch.take(64);
  const set = (name: string, keyHex: string, valueHex: string): void => {
    memory.u8.set(bytes(keyHex), key);
    memory.u8.set(bytes(valueHex), value);
    if (mapOf(memory, name).update(key, value) !== 0) throw new Error(`${scenario.name}: cannot set ${name} ${keyHex}`);
  };
  for (const entry of scenario.maps) set(entry.map, entry.key, entry.value);

  const events = EventRing.create(memory, 65_536);
  const datapath = new Datapath(memory, { shard: 0, events, seed: 1, monitorAggregation: scenario.aggregation });
  memory.nowNs = BigInt(START_SECONDS) * 1_000_000_000n;
  const unset = (name: string, keyHex: string): void => {
    memory.u8.set(bytes(keyHex), key);
    mapOf(memory, name).delete(key);
  };
  return { memory, events, datapath, skb: new Skb(memory), set, unset };
}

/** Runs a scenario's steps through the programs here. @returns what each packet step left behind */
export function play(scenario: Scenario): Expected[] {
  const { memory, events, datapath, skb, set, unset } = setUp(scenario);
  let now = START_SECONDS;
  let before = conntrack(memory);
  const outcomes: Expected[] = [];
  for (const step of scenario.steps) {
    if (step.op === 'advance_clock') now += step.seconds;
    else if (step.op === 'map_set') set(step.map, step.key, step.value);
    else if (step.op === 'map_delete') unset(step.map, step.key);
    else {
      memory.nowNs = BigInt(now) * 1_000_000_000n;
      skb.load(bytes(step.packet), step.ifindex);
      const ret = cilFromContainer(datapath, datapath.program(step.endpoint)!, skb);
      const sent: string[] = [];
      events.drain((event) => sent.push(hex(event)));
      const after = conntrack(memory);
      const changed = [...after].filter(([tuple, entry]) => before.get(tuple) !== entry);
      before = after;
      outcomes.push({
        ret,
        packet: hex(skb.frame()),
        mark: skb.mark,
        redirect: skb.redirectIfindex,
        events: sent,
        ct: Object.fromEntries(changed.sort(([a], [b]) => (a < b ? -1 : 1))),
      });
    }
  }
  return outcomes;
}

function createMaps(memory: Memory, endpoints: readonly number[]): void {
  const maxEntries = 1024;
  const hash = (name: string, keySize: number, valueSize: number): void =>
    pin(memory, name, HashMap.create(memory, { keySize, valueSize, maxEntries, name }).address);
  hash(LXC_MAP_NAME, ENDPOINT_KEY.size, ENDPOINT_INFO.size);
  hash(LB4_SERVICES_MAP_NAME, LB4_KEY.size, LB4_SERVICE.size);
  hash(LB4_BACKENDS_MAP_NAME, 4, LB4_BACKEND.size);
  hash(LB4_REVERSE_NAT_MAP_NAME, 2, LB4_REVERSE_NAT.size);
  const ipcache = { keySize: IPCACHE_KEY.size, valueSize: REMOTE_ENDPOINT_INFO.size, maxEntries };
  pin(memory, IPCACHE_MAP_NAME, LpmTrie.create(memory, ipcache).address);
  createCtMaps(memory, 0, { tcp: maxEntries, any: maxEntries });
  for (const id of endpoints) PolicyMap.create(memory, id);
}

function mapOf(memory: Memory, name: string): BpfMap {
  const endpoint = /^policy:(\d+)$/.exec(name)?.[1];
  return openMap(memory, pinned(memory, endpoint === undefined ? name : policyMapName(Number(endpoint))));
}

/** Every conntrack entry: map and key to value, with times as seconds from the scenario's start. */
function conntrack(memory: Memory): Map<string, string> {
  const entries = new Map<string, string>();
  for (const tcp of [true, false])
    for (const { key, value } of mapOf(memory, ctMapName(tcp, 0)).entries()) {
      const tuple = hex(memory.u8.subarray(key, key + 14));
      const copy = memory.u8.slice(value, value + 56);
      entries.set(`${ctMapName(tcp, 0)} ${tuple}`, describe(new DataView(copy.buffer)));
    }
  return entries;
}

/** The fields of `struct ct_entry` that a scenario tells, in one line. */
function describe(entry: DataView): string {
  const relative = (at: number): string => {
    const seconds = entry.getUint32(at, true);
    return seconds === 0 ? 'never' : `${seconds - START_SECONDS}`;
  };
  return [
    `backend=${entry.getUint32(8, true)}`,
    `packets=${entry.getUint32(16, true)}`,
    `bytes=${entry.getUint32(24, true)}`,
    `flags=${entry.getUint16(36, true)}`,
    `revnat=${entry.getUint16(38)}`,
    `tx=${entry.getUint8(42)}`,
    `rx=${entry.getUint8(43)}`,
    `src=${entry.getUint32(44, true)}`,
    `lifetime=${relative(32)}`,
    `last_tx=${relative(48)}`,
    `last_rx=${relative(52)}`,
  ].join(' ');
}
