import type { DatapathConfig } from '@ciliate/bpf';
import type { Address, WasmMemory } from '@ciliate/maps';
import type { TraceInMemory } from './trace_memory.ts';

/** What each worker starts with. The maps, keys and packets lie in the one shared memory. */
export interface WorkerInit {
  memory: WasmMemory;
  seed: number;
  config: DatapathConfig;
}

/** Asks a policy map about keys, over and over. */
export interface LookupTask {
  kind: 'lookups';
  keys: KeysInMemory;
  durationMs: number;
}

/** Runs the packets of some shards through the programs, over and over. */
export interface PacketTask {
  kind: 'packets';
  trace: TraceInMemory;
  shards: number[];
  durationMs: number;
}

export type Task = LookupTask | PacketTask;

/** Policy questions in the shared memory: `count` entries of KEY.words u32 each from `index` on. */
export interface KeysInMemory {
  index: Address;
  count: number;
}

/** Words of a question: the policy map's address, the remote identity, 1 = egress, protocol, port. */
export const KEY = { words: 5, map: 0, identity: 1, egress: 2, protocol: 3, dport: 4 } as const;

/** What one worker did. */
export interface Measurement {
  /** Lookups or packets. */
  operations: number;
  elapsedNs: number;
  /** The same loop without the work in it, for as many operations. */
  overheadNs: number;
  /** Of the verdicts of one pass, the same in every pass. Those of the parts of a trace add up to that of the whole. */
  checksum: number;
  /** Passes whose verdicts had another checksum: must be 0. */
  mismatches: number;
}
