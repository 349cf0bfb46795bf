import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KvstoreError } from '../errors.ts';
import type { Disk, DiskFile } from './disk.ts';

const fdatasyncAsync = promisify(fdatasync);
const fsyncAsync = promisify(fsync);
const LOCK_NAME = 'lock';

/** A directory of the real disk; made if it is not there. */
export class NodeDisk implements Disk {
  readonly name: string;
  #isLocked = false;

  /** @throws BAD_INPUT: it is not a directory, or may not be written */
  constructor(directory: string) {
    this.name = directory;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new KvstoreError('BAD_INPUT', `the data directory cannot be made`, { directory }, { cause: error });
    }
  }

  list(): string[] {
    return readdirSync(this.name).filter((name) => !name.startsWith(LOCK_NAME));
  }

  read(name: string): Uint8Array {
    return readFileSync(this.#path(name));
  }

  create(name: string): DiskFile {
    return new NodeFile(openSync(this.#path(name), 'w', 0o600));
  }

  open(name: string): DiskFile {
    return new NodeFile(openSync(this.#path(name), 'r+'));
  }

  rename(from: string, to: string): void {
    renameSync(this.#path(from), this.#path(to));
  }

  remove(name: string): void {
    unlinkSync(this.#path(name));
  }

  async syncNames(): Promise<void> {
    const directory = openSync(this.name, 'r');
    try {
      await fsyncAsync(directory);
    } finally {
      closeSync(directory);
    }
  }

  /** Node has no flock: a file with the holder's process id and start time, linked into place in one step. */
  lock(): void {
    const mine = this.#path(`${LOCK_NAME}.${process.pid}`);
    writeFileSync(mine, `${process.pid} ${startTime(process.pid) ?? ''}\n`);
    try {
      this.#takeLock(mine);
      this.#isLocked = true;
    } finally {
      unlinkSync(mine);
    }
  }

  #takeLock(mine: string): void {
    const path = this.#path(LOCK_NAME);
    for (;;) {
      try {
        linkSync(mine, path);
        return;
      } catch (error) {
        if (!isErrno(error, 'EEXIST')) throw error;
      }
      const [pid, started] = readFileSync(path, 'latin1').trim().split(' ');
      const isAlive = startTime(Number(pid)) === (started ?? '');
      if (isAlive) {
        const message = 'another process has the data directory; stop it, or use another directory';
        throw new KvstoreError('LOCKED', message, { directory: this.name, pid: pid! });
      }
      // Its holder is dead. Of several who see that, one renames it away; the others find it gone or find the new one.
      const stale = `${mine}.stale`;
      try {
        renameSync(path, stale);
        unlinkSync(stale);
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error;
      }
    }
  }

  close(): void {
    if (this.#isLocked) unlinkSync(this.#path(LOCK_NAME));
    this.#isLocked = false;
  }

  #path(name: string): string {
    return join(this.name, name);
  }
}

class NodeFile implements DiskFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
  }

  truncate(size: number): void {
    ftruncateSync(this.#fd, size);
  }

  /** fdatasync: it also stores the new length of a file that grew. */
  sync(): Promise<void> {
    return fdatasyncAsync(this.#fd);
  }

  syncNow(): void {
    fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** In clock ticks since boot, which tells a process from a later one of the same id; undefined: not running. */
function startTime(pid: number): string | undefined {
  try {
    // The name in brackets may hold anything; the start time is field 22, 19 fields after it. Source: proc(5).
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
