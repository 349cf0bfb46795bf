import { type Address, type BpfMap, MAP_HEADER, type Memory, openMap } from '@ciliate/maps';
import { fault } from '../errors.ts';
import type { LookupEngine } from './lookup_engine.ts';
import { Packet, SKB } from './packet.ts';
import { Regions } from './regions.ts';

export const FRAME_BYTES = 512;
/** The kernel's limits: 8 frames, and 33 tail calls, each of which may be made from a frame of its own. */
const MAX_FRAMES = 8 * (33 + 1);
export const MAX_TAIL_CALLS = 33;
/**
 * Words that compiled programs share with the machine. `data`, `end`: the packet's first byte, and behind the last. `masks`: for 0 to 31, which bits of a little-endian word are the first
 * so many of its bytes in their order; what a walk through a trie compares by.
 */
export const STATE = { size: 192, tailCalls: 0, cpu: 4, data: 8, end: 12, masks: 64 } as const;

/** Processors move cache lines in pairs: what another worker writes, its stack say, must not lie in those of these words. */
const LINES = 128;
const STATE_BLOCK = STATE.size + 2 * LINES;

interface OpenedMap {
  map: BpfMap;
  elements: number;
}

export interface MachineOptions {
  /** Which worker this is: what bpf_get_smp_processor_id answers, and which values of per-CPU maps are its own. */
  cpu?: number;
  /** Of bpf_get_prandom_u32. */
  seed?: number;
}

/**
 * What one worker needs to run programs: its stack and its context in the shared memory, and what of the memory programs
 * may touch. Both back ends work on it, and so do the helpers.
 */
export class Machine {
  readonly memory: Memory;
  readonly cpu: number;
  readonly stack: Address;
  readonly stackBytes: number = MAX_FRAMES * FRAME_BYTES;
  readonly packet: Packet;
  readonly regions: Regions;
  /** Of the words of `STATE`. */
  readonly state: Address;
  private readonly stateBlock: Address;
  /** Records of ring buffers that are reserved and not submitted yet, and whose they are. */
  readonly records = new Map<Address, Address>();
  /** What bpf_trace_printk wrote, in this run. */
  readonly traces: string[] = [];
  /** What looks up in place of maps themselves, by the map's address. */
  readonly engines = new Map<Address, LookupEngine>();
  /** Calls the function with this index, for helpers that take one. Set by the back end that runs. */
  callFunction: (index: number, a: number, b: number, c: number, d: number) => number;
  private readonly opened = new Map<Address, OpenedMap>();
  private random: number;

  constructor(memory: Memory, { cpu = 0, seed = 1 }: MachineOptions = {}) {
    this.memory = memory;
    this.cpu = cpu;
    this.stack = memory.alloc(this.stackBytes);
    this.packet = new Packet(memory, (from, to) => {
      this.regions.setPacket(from, to);
      memory.u32[(this.state + STATE.data) >> 2] = this.packet.data;
      memory.u32[(this.state + STATE.end) >> 2] = to;
    });
    this.stateBlock = memory.alloc(STATE_BLOCK);
    this.state = Math.ceil(this.stateBlock / LINES) * LINES;
    memory.u32[(this.state + STATE.cpu) >> 2] = cpu;
    for (let bits = 0; bits < 32; bits++) {
      for (let bit = 0; bit < bits; bit++)
        memory.u8[this.state + STATE.masks + 4 * bits + (bit >> 3)]! |= 0x80 >> (bit & 7);
    }
    this.random = (seed ^ Math.imul(cpu + 1, 0x9e37_79b1)) | 1;
    this.regions = new Regions(this.stack, this.stackBytes, this.context, SKB.size);
    this.callFunction = () => {
      throw fault('no program runs that a function could be called for');
    };
  }

  /** Of the context that programs get in r1. */
  get context(): Address {
    return this.packet.context;
  }

  /** The map whose header is at `address`. @throws VmError FAULT if there is none */
  map(address: Address): BpfMap {
    const known = this.opened.get(address);
    if (known !== undefined && this.isStill(known)) return known.map;
    try {
      const map = openMap(this.memory, address, this.cpu);
      this.opened.set(address, { map, elements: this.elementsOf(address) });
      return map;
    } catch (cause) {
      throw fault(`a helper got 0x${address.toString(16)}, which is no map: ${(cause as Error).message}`);
    }
  }

  /** What a program's lookup answers. @throws VmError FAULT if there is no map at this address */
  lookup(map: Address, key: Address): Address {
    const engine = this.engines.size === 0 ? undefined : this.engines.get(map);
    return engine === undefined ? this.map(map).lookup(key) : engine.lookup(key);
  }

  /** A program has written the map. */
  changed(map: Address): void {
    if (this.engines.size > 0) this.engines.get(map)?.changed();
  }

  /** An inner map that is gone may have left its address to another one. */
  private isStill({ map, elements }: OpenedMap): boolean {
    const { keySize, valueSize, maxEntries } = map.spec;
    const header = map.address >> 2;
    const { u32 } = this.memory;
    return (
      u32[header + (MAP_HEADER.type >> 2)] === map.type &&
      u32[header + (MAP_HEADER.keySize >> 2)] === keySize &&
      u32[header + (MAP_HEADER.valueSize >> 2)] === valueSize &&
      u32[header + (MAP_HEADER.maxEntries >> 2)] === maxEntries &&
      this.elementsOf(map.address) === elements
    );
  }

  /** Where elements or buckets are: a map has one of the two, or neither. */
  private elementsOf(map: Address): number {
    const { u32 } = this.memory;
    return u32[(map + MAP_HEADER.data) >> 2]! + u32[(map + MAP_HEADER.buckets) >> 2]!;
  }

  /** The running program has got the address of a value of this map. */
  grantValue(map: Address, value: Address): void {
    const { spec } = this.map(map);
    this.regions.grant(value, spec.valueSize, `value of ${spec.name}`);
  }

  /** bpf_get_prandom_u32: xorshift32, from the seed. */
  nextRandom(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return x >>> 0;
  }

  /** Gives the memory back. */
  destroy(): void {
    this.memory.free(this.stack, this.stackBytes);
    this.packet.destroy();
    this.memory.free(this.stateBlock, STATE_BLOCK);
  }

  /** Before each run: nothing is granted from the last one. */
  reset(): void {
    this.tailCalls = 0;
    if (this.traces.length > 0) this.traces.length = 0;
    this.regions.reset();
  }

  /** Tail calls that this run has made. */
  get tailCalls(): number {
    return this.memory.i32[(this.state + STATE.tailCalls) >> 2]!;
  }
  set tailCalls(count: number) {
    this.memory.i32[(this.state + STATE.tailCalls) >> 2] = count;
  }
}
