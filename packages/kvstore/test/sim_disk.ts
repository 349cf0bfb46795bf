import type { Disk, DiskFile } from '../src/disk/disk.ts';
import { KvstoreError } from '../src/errors.ts';

const SECTOR = 512;

interface Inode {
  bytes: Buffer;
  synced: Buffer;
}

/** The current goes off: nothing more reaches this disk. */
export class PowerCut extends Error {}

export interface Faults {
  /** The power goes at this operation (write, truncate, sync, create, rename, remove), counted from 1. */
  cutAt?: number;
  /** Bytes that the disk has room for. */
  capacity?: number;
  /** Syncs do nothing: a disk on which no store can be durable. */
  lies?: boolean;
}

/** A disk in memory that, when the power goes, keeps what was synced, and of the rest whatever `random` says. */
export class SimDisk implements Disk {
  readonly name = 'sim';
  readonly faults: Faults;
  operations = 0;
  #isLocked = false;
  #files = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  /** Changes of names since the last sync of them, in order. */
  #renames: ((names: Map<string, Inode>) => void)[] = [];

  constructor(faults: Faults = {}) {
    this.faults = faults;
  }

  /** What a machine finds when it starts again. @param random in [0, 1) */
  afterPowerCut(random: () => number, faults: Faults = {}): SimDisk {
    const disk = new SimDisk(faults);
    const kept = Math.floor(random() * (this.#renames.length + 1));
    for (const rename of this.#renames.slice(0, kept)) rename(this.#durable);
    for (const [name, inode] of this.#durable) {
      const bytes = torn(inode, random);
      disk.#files.set(name, { bytes, synced: bytes });
    }
    disk.#durable = new Map(disk.#files);
    return disk;
  }

  /** Change bytes under the store, as rot does. */
  rot(name: string, change: (bytes: Buffer) => Buffer): void {
    const inode = this.#files.get(name)!;
    inode.bytes = inode.synced = change(Buffer.from(inode.bytes));
  }

  list = (): string[] => [...this.#files.keys()];
  read = (name: string): Uint8Array => Buffer.from(this.#files.get(name)!.bytes);

  create(name: string): DiskFile {
    this.#step();
    const inode = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.#rename((names) => names.set(name, inode));
    return new SimFile(this, inode, () => this.#step());
  }

  open(name: string): DiskFile {
    return new SimFile(this, this.#files.get(name)!, () => this.#step());
  }

  rename(from: string, to: string): void {
    this.#step();
    this.#rename((names) => {
      const inode = names.get(from);
      if (inode === undefined) return;
      names.delete(from);
      names.set(to, inode);
    });
  }

  remove(name: string): void {
    this.#step();
    this.#rename((names) => names.delete(name));
  }

  async syncNames(): Promise<void> {
    this.#step();
    if (this.faults.lies) return;
    this.#durable = new Map(this.#files);
    this.#renames = [];
  }

  lock(): void {
    if (this.#isLocked) throw new KvstoreError('LOCKED', 'locked');
    this.#isLocked = true;
  }

  close(): void {
    this.#isLocked = false;
  }

  used(): number {
    let sum = 0;
    for (const { bytes } of this.#files.values()) sum += bytes.length;
    return sum;
  }

  #rename(change: (names: Map<string, Inode>) => void): void {
    change(this.#files);
    this.#renames.push(change);
  }

  #step(): void {
    if (++this.operations >= (this.faults.cutAt ?? Number.POSITIVE_INFINITY)) throw new PowerCut('the power is off');
  }
}

class SimFile implements DiskFile {
  readonly #disk: SimDisk;
  readonly #inode: Inode;
  readonly #step: () => void;

  constructor(disk: SimDisk, inode: Inode, step: () => void) {
    this.#disk = disk;
    this.#inode = inode;
    this.#step = step;
  }

  write(bytes: Uint8Array, at: number): void {
    const grown = Math.max(0, at + bytes.length - this.#inode.bytes.length);
    const room = (this.#disk.faults.capacity ?? Number.POSITIVE_INFINITY) - this.#disk.used();
    if (grown > room) {
      if (room > 0) this.#put(bytes.subarray(0, room), at);
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    }
    // Written before the power goes: it may be on the disk, or not, or partly.
    this.#put(bytes, at);
    this.#step();
  }

  truncate(size: number): void {
    this.#step();
    this.#inode.bytes = Buffer.from(this.#inode.bytes.subarray(0, size));
  }

  async sync(): Promise<void> {
    this.#store();
  }

  syncNow(): void {
    this.#store();
  }

  #store(): void {
    this.#step();
    if (this.#disk.faults.lies) return;
    this.#inode.synced = Buffer.from(this.#inode.bytes);
  }

  close(): void {}

  #put(bytes: Uint8Array, at: number): void {
    const grown = Buffer.alloc(Math.max(this.#inode.bytes.length, at + bytes.length));
    this.#inode.bytes.copy(grown);
    grown.set(bytes, at);
    this.#inode.bytes = grown;
  }
}

/** Each sector that was not synced is there or not; what a file grew by is there, partly, or zero. */
function torn({ bytes, synced }: Inode, random: () => number): Buffer {
  const low = Math.min(bytes.length, synced.length);
  const length = low + Math.floor(random() * (Math.max(bytes.length, synced.length) - low + 1));
  const found = Buffer.alloc(length);
  for (let sector = 0; sector < length; sector += SECTOR) {
    const source = random() < 0.5 ? bytes : synced;
    if (sector < source.length) source.copy(found, sector, sector, Math.min(sector + SECTOR, length));
  }
  return found;
}
