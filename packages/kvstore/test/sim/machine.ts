import type { Disk, DiskFile } from '../../src/disk/disk.ts';
import type { Route } from '../../src/grpc/http2_server.ts';
import { routesOf } from '../../src/grpc/server.ts';
import { EmbeddedStore } from '../../src/index.ts';
import { PowerCut, SimDisk } from '../sim_disk.ts';
import type { Scheduler } from './scheduler.ts';

export interface MachineFaults {
  /** Syncs do nothing. */
  lies?: boolean;
  /** How fast its clock runs. */
  clockRate?: number;
}

const EXPIRY_INTERVAL_MS = 200;

/** A machine with a disk and a store that serves, until the current goes off, and then again. */
export class Machine {
  readonly #scheduler: Scheduler;
  readonly #faults: MachineFaults;
  #disk: SimDisk;
  /** Counts the store's lives; what an earlier one still does is of no effect. */
  #life = 0;
  #routes: ReadonlyMap<string, Route> | undefined;
  #frozenUntil = 0;
  readonly #onCut = new Set<() => void>();
  cuts = 0;
  /** Why it did not start, if so. */
  failure: Error | undefined;

  constructor(scheduler: Scheduler, faults: MachineFaults = {}) {
    this.#scheduler = scheduler;
    this.#faults = faults;
    this.#disk = new SimDisk({ lies: faults.lies ?? false });
  }

  /** Each life has another number. */
  get life(): number {
    return this.#life;
  }

  /** What it serves by path; undefined: it is down. */
  get routes(): ReadonlyMap<string, Route> | undefined {
    return this.#routes;
  }

  /** How long what arrives now has to wait. */
  get frozenMs(): number {
    return Math.max(0, this.#frozenUntil - this.#scheduler.now());
  }

  /** Nothing is done for a while, but time goes on. */
  freeze(ms: number): void {
    this.#frozenUntil = this.#scheduler.now() + ms;
  }

  onCut(call: () => void): void {
    this.#onCut.add(call);
  }

  /** @param cutAt the operation of the disk at which the power goes, counted from 1; undefined: it stays */
  async start(cutAt?: number): Promise<void> {
    const life = ++this.#life;
    const { random } = this.#scheduler;
    // Its clock starts anywhere, also before where the last life's ended.
    const origin = this.#scheduler.now() - random() * 1e6;
    const nowNs = () => BigInt(Math.floor((this.#scheduler.now() - origin) * 1e6 * (this.#faults.clockRate ?? 1)));
    const disk = new SlowDisk(this.#disk, this.#scheduler, cutAt, () => this.cut(life));
    const salt = () => Math.floor(random() * 2 ** 32);
    try {
      const store = await EmbeddedStore.open({
        ...{ disk, nowNs, salt, heldEvents: Number.POSITIVE_INFINITY, snapshotBytes: 2000 },
      });
      if (this.#life !== life) return;
      const every = (ms: number, call: () => void): (() => void) => {
        let isStopped = false;
        const again = (): void => {
          if (isStopped || this.#life !== life) return;
          if (this.frozenMs === 0) call();
          this.#scheduler.after(ms, again);
        };
        this.#scheduler.after(ms, again);
        return () => {
          isStopped = true;
        };
      };
      const header = (revision: number) => ({ cluster_id: 1, member_id: 1, raft_term: 2, revision });
      this.#routes = routesOf({ store, header, memberId: 1n, clientUrl: 'http://sim', every });
      every(EXPIRY_INTERVAL_MS, () => store.expireLeases());
    } catch (error) {
      if (this.#life === life) this.failure = error as Error;
    }
  }

  /** The current goes off. */
  cut(life = this.#life): void {
    if (life !== this.#life) return;
    this.#life++;
    this.cuts++;
    this.#routes = undefined;
    this.#disk = this.#disk.afterPowerCut(this.#scheduler.random, { lies: this.#faults.lies ?? false });
    for (const call of this.#onCut) call();
  }
}

/** Takes its time for syncs, and cuts the power at an operation. */
class SlowDisk implements Disk {
  readonly name = 'sim';
  readonly #disk: SimDisk;
  readonly #scheduler: Scheduler;
  readonly #step: () => void;

  constructor(disk: SimDisk, scheduler: Scheduler, cutAt: number | undefined, cut: () => void) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    let operations = 0;
    this.#step = () => {
      if (++operations !== cutAt) return;
      cut();
      throw new PowerCut('the power is off');
    };
  }

  list = (): string[] => this.#disk.list();
  read = (name: string): Uint8Array => this.#disk.read(name);
  lock = (): void => {}; // the lock of a machine that went down is gone
  close = (): void => {};
  create = (name: string): DiskFile => this.#file(this.#disk.create(name));
  open = (name: string): DiskFile => this.#file(this.#disk.open(name));
  rename = (from: string, to: string): void => this.#do(() => this.#disk.rename(from, to));
  remove = (name: string): void => this.#do(() => this.#disk.remove(name));
  syncNames = (): Promise<void> => this.#slowly(() => this.#disk.syncNames());

  #file(file: DiskFile): DiskFile {
    return {
      write: (bytes, at) => this.#do(() => file.write(bytes, at)),
      truncate: (size) => this.#do(() => file.truncate(size)),
      sync: () => this.#slowly(() => file.sync()),
      syncNow: () => {
        this.#step();
        file.syncNow();
        this.#step();
      },
      close: () => file.close(),
    };
  }

  /** Done before the power goes: it may be on the disk, or not, or partly. */
  #do(operation: () => void): void {
    operation();
    this.#step();
  }

  async #slowly(sync: () => Promise<void>): Promise<void> {
    await this.#scheduler.sleep(this.#scheduler.delay(3, 60));
    this.#step();
    await sync();
    this.#step();
  }
}
