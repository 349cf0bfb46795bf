import { type Disk, type DiskFile, NodeDisk } from '../../src/index.ts';

/** Where a server dies by its own hand; each is an instant at which `kill -9` could have hit it. */
export const CRASH_POINTS = [
  'before a frame is written',
  'half a frame written',
  'before the sync',
  'after the sync, before the answer',
  'new segment, before its name is synced',
  'snapshot half written',
  'snapshot before its rename',
  'snapshot renamed, old files still there',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

/** A directory whose process kills itself with signal 9 when it comes to a point for the n-th time. */
export class CrashDisk implements Disk {
  readonly #disk: Disk;
  readonly #reached: (point: CrashPoint) => boolean;

  constructor(directory: string, point: CrashPoint | undefined, countdown: number) {
    this.#disk = new NodeDisk(directory);
    let left = countdown;
    this.#reached = (reached) => reached === point && --left === 0;
  }

  get name(): string {
    return this.#disk.name;
  }

  list = (): string[] => this.#disk.list();
  read = (name: string): Uint8Array => this.#disk.read(name);
  lock = (): void => this.#disk.lock();
  close = (): void => this.#disk.close();

  create(name: string): DiskFile {
    return this.#file(name, this.#disk.create(name));
  }

  open(name: string): DiskFile {
    return this.#file(name, this.#disk.open(name));
  }

  rename(from: string, to: string): void {
    this.#dieAt('snapshot before its rename');
    this.#disk.rename(from, to);
  }

  remove(name: string): void {
    this.#dieAt('snapshot renamed, old files still there');
    this.#disk.remove(name);
  }

  async syncNames(): Promise<void> {
    this.#dieAt('new segment, before its name is synced');
    await this.#disk.syncNames();
  }

  #file(name: string, file: DiskFile): DiskFile {
    const isLog = name.startsWith('log');
    return {
      write: (bytes, at) => {
        if (isLog) this.#dieAt('before a frame is written');
        if (this.#reached(isLog ? 'half a frame written' : 'snapshot half written')) {
          file.write(bytes.subarray(0, bytes.length >> 1), at);
          die();
        }
        file.write(bytes, at);
      },
      truncate: (size) => file.truncate(size),
      sync: async () => {
        if (isLog) this.#dieAt('before the sync');
        await file.sync();
        if (isLog) this.#dieAt('after the sync, before the answer');
      },
      syncNow: () => {
        if (isLog) this.#dieAt('before the sync');
        file.syncNow();
        if (isLog) this.#dieAt('after the sync, before the answer');
      },
      close: () => file.close(),
    };
  }

  #dieAt(point: CrashPoint): void {
    if (this.#reached(point)) die();
  }
}

const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('dead');
};
