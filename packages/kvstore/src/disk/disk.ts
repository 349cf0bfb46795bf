/**
 * A directory of files, as the store needs it. What was written is certain to outlive a crash only once it was synced: a
 * file's bytes by the file's `sync`, its name (created, renamed, removed) by the directory's `syncNames`.
 */
export interface Disk {
  /** For messages. */
  readonly name: string;
  list(): string[];
  read(name: string): Uint8Array;
  /** Open for writing; empty, whatever was there. */
  create(name: string): DiskFile;
  /** Open for writing at the end of what is there. */
  open(name: string): DiskFile;
  /** An existing file of the new name is replaced. */
  rename(from: string, to: string): void;
  remove(name: string): void;
  syncNames(): Promise<void>;
  /** Keep other processes out until the disk is closed. @throws KvstoreError LOCKED */
  lock(): void;
  close(): void;
}

export interface DiskFile {
  /** Write at a place; all or, when it throws, some of the bytes. */
  write(bytes: Uint8Array, at: number): void;
  /** Cut off what lies beyond. */
  truncate(size: number): void;
  sync(): Promise<void>;
  /** The same in one go: nothing else runs meanwhile. */
  syncNow(): void;
  close(): void;
}
