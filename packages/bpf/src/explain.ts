import { type Address, address6, type BpfMap, LpmTrie, type Memory, NULL } from '@ciliate/maps';
import type { IpAddress } from '@ciliate/packet';
import type { Datapath } from './datapath.ts';
import type { Family } from './lib/family.ts';

/**
 * What a program did with one packet, for people: recorded only while `Datapath.steps` is there, so that the hot path
 * pays one test for null. Ports are numbers in host order.
 */
interface Endpointed {
  /** Endpoint id of the program that took the step. */
  endpoint: number;
}

interface Place {
  address: IpAddress;
  port: number;
}

/** Something decided or done. */
export type Decision = Endpointed &
  (
    | {
        kind: 'service';
        frontend: Place;
        backend: Place & { id: number };
        /** Was the choice read from conntrack (true) or made now? */
        known: boolean;
      }
    | { kind: 'reverse-nat'; from: Place; to: Place }
    | { kind: 'conntrack'; direction: 'egress' | 'ingress'; status: 'new' | 'established' | 'reply' | 'related' }
    | { kind: 'identity'; address: IpAddress; identity: number; found: boolean }
    | {
        kind: 'policy';
        direction: 'egress' | 'ingress';
        remoteIdentity: number;
        protocol: number;
        dport: number;
        /** 0, or the negated drop code. */
        verdict: number;
        /** Proxy port, 0 = no redirect. */
        proxyPort: number;
        matchType: number;
        /** Address of the chosen entry's value in the policy map, 0 = none matched. */
        entry: number;
      }
    | { kind: 'local-delivery'; to: number }
    | { kind: 'to-proxy'; port: number }
    | { kind: 'to-endpoint' }
    | { kind: 'to-stack' }
    | { kind: 'to-overlay'; vni: number; remote: IpAddress }
    | { kind: 'to-network'; ifindex: number }
    | { kind: 'drop'; code: number; text: string }
  );

/** An access to a map, with copies of the bytes. */
export interface MapStep {
  kind: 'map';
  access: 'lookup' | 'update' | 'delete';
  /** As pinned; those of shard n > 0 end with `_s<n>`. */
  map: string;
  key: Uint8Array;
  /** Undefined if there is none. Of a map of maps: the address of the inner map. */
  value: Uint8Array | undefined;
  /** Of a trie: the key of the longest prefix, whose value it is. */
  matched: Uint8Array | undefined;
}

/** `struct debug_msg`, as Cilium's programs send it when compiled with DEBUG. Arguments are u32 as they lie in the struct. */
export interface DebugStep {
  kind: 'debug';
  /** DBG_*. */
  subType: number;
  arg1: number;
  arg2: number;
  arg3: number;
}

/** `struct debug_capture_msg`: the packet as it is now. */
export interface DebugCaptureStep {
  kind: 'debug-capture';
  /** DBG_CAPTURE_*. */
  subType: number;
  arg1: number;
}

export type Step = Decision | MapStep | DebugStep | DebugCaptureStep;

/** Who wants to know; an array will do. */
export interface StepSink {
  push(step: Step): unknown;
}

export const isDecision = (step: Step): step is Decision =>
  step.kind !== 'map' && step.kind !== 'debug' && step.kind !== 'debug-capture';

// All of these are called only where `dp.steps` is not null: they copy.

/** The address that lies there. */
export const addressAt = (dp: Datapath, fam: Family, at: Address): IpAddress =>
  fam.isV6 ? address6(dp.memory, at) : dp.memory.view.getUint32(at);

export function noteLookup(dp: Datapath, map: BpfMap, key: Address, value: Address): void {
  const m = dp.memory;
  const matched = value !== NULL && map instanceof LpmTrie ? map.keyOf(value) : NULL;
  dp.steps?.push({
    kind: 'map',
    access: 'lookup',
    map: map.spec.name ?? '',
    key: copyOf(m, key, map.spec.keySize),
    value: value === NULL ? undefined : copyOf(m, value, map.spec.valueSize),
    matched: matched === NULL ? undefined : copyOf(m, matched, map.spec.keySize),
  });
}

/** @param value what the entry is now */
export function noteUpdate(dp: Datapath, map: BpfMap, key: Address, value: Address): void {
  noteChange(dp, 'update', map, key, copyOf(dp.memory, value, map.spec.valueSize));
}

export function noteDelete(dp: Datapath, map: BpfMap, key: Address): void {
  noteChange(dp, 'delete', map, key, undefined);
}

function noteChange(
  dp: Datapath,
  access: 'update' | 'delete',
  map: BpfMap,
  key: Address,
  value: Uint8Array | undefined,
): void {
  const keyBytes = copyOf(dp.memory, key, map.spec.keySize);
  dp.steps?.push({ kind: 'map', access, map: map.spec.name ?? '', key: keyBytes, value, matched: undefined });
}

export function noteDebug(dp: Datapath, subType: number, arg1: number, arg2: number, arg3 = 0): void {
  dp.steps?.push({ kind: 'debug', subType, arg1: arg1 >>> 0, arg2: arg2 >>> 0, arg3: arg3 >>> 0 });
}

function copyOf(m: Memory, at: Address, size: number): Uint8Array {
  const copy = new Uint8Array(size);
  copy.set(m.u8.subarray(at, at + size));
  return copy;
}
