import type { Address } from '@ciliate/maps';
import { fault } from '../errors.ts';

export interface Region {
  from: Address;
  to: Address;
  isReadOnly: boolean;
  /** What lies there, as a user would call it: `value of cilium_lxc`. */
  name: string;
}

/**
 * What of the memory the running program may touch: its stack, context and packet, the global variables, and each value
 * of a map since a helper answered its address. The kernel's verifier proves before the run what is checked here in it.
 */
export class Regions {
  private packetFrom: Address = 0;
  private packetTo: Address = 0;
  private readonly fixed: Region[];
  private readonly granted = new Map<Address, Region>();
  /** The region that was hit last. */
  private last: Region;

  constructor(stack: Address, stackBytes: number, context: Address, contextBytes: number) {
    this.fixed = [
      { from: stack, to: stack + stackBytes, isReadOnly: false, name: 'stack' },
      { from: context, to: context + contextBytes, isReadOnly: false, name: 'context' },
    ];
    this.last = this.fixed[0]!;
  }

  /** Direct packet access: from `data_meta` to `data_end`. */
  setPacket(from: Address, to: Address): void {
    this.packetFrom = from;
    this.packetTo = to;
  }

  /** For all runs: a section of global variables. */
  addFixed(region: Region): void {
    this.fixed.push(region);
  }

  /** For the rest of this run. */
  grant(from: Address, size: number, name: string): void {
    const known = this.granted.get(from);
    if (known === undefined || known.to < from + size) {
      this.granted.set(from, { from, to: from + size, isReadOnly: false, name });
    }
  }

  reset(): void {
    if (this.granted.size > 0) this.granted.clear();
    this.last = this.fixed[0]!;
  }

  /** @throws VmError FAULT unless all `size` bytes at `at` lie in one region */
  check(at: Address, size: number, isWrite: boolean): void {
    const to = at + size;
    if (at >= this.last.from && to <= this.last.to && !(isWrite && this.last.isReadOnly)) return;
    if (at >= this.packetFrom && to <= this.packetTo) return;
    const region = this.find(at, to);
    if (region === undefined) {
      throw fault(`${isWrite ? 'writes' : 'reads'} ${size} bytes at 0x${at.toString(16)}, ${this.nearest(at)}`);
    }
    if (isWrite && region.isReadOnly) throw fault(`writes to ${region.name}, which is read-only`);
    this.last = region;
  }

  /** What `at` points to, for people: `packet + 14`; undefined: nothing known. */
  describe(at: Address): string | undefined {
    if (this.packetTo > 0 && at >= this.packetFrom && at <= this.packetTo) return named('packet', at - this.packetFrom);
    const region = this.find(at, at);
    return region === undefined ? undefined : named(region.name, at - region.from);
  }

  private find(at: Address, to: Address): Region | undefined {
    for (const region of this.fixed) if (at >= region.from && to <= region.to) return region;
    const exact = this.granted.get(at);
    if (exact !== undefined && to <= exact.to) return exact;
    for (const region of this.granted.values()) if (at >= region.from && to <= region.to) return region;
    return undefined;
  }

  private nearest(at: Address): string {
    if (at < 4096) return at === 0 ? 'a NULL pointer' : 'close to NULL';
    if (at === this.packetTo) return 'behind the end of the packet';
    return this.describe(at) === undefined ? 'where it may not' : `past the end of what lies at ${this.describe(at)}`;
  }
}

const named = (name: string, offset: number): string => (offset === 0 ? name : `${name} + ${offset}`);
