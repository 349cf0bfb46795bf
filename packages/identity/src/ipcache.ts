import type { NumericIdentity } from './numeric.ts';

/** Who says so, strongest first: an entry is changed only by its own kind of source or a stronger one. */
const SOURCES = [
  'kube-apiserver',
  'local',
  'kvstore',
  'custom-resource',
  'k8s',
  'clustermesh',
  'directory',
  'api',
  'generated',
  'restored',
  'unspec',
] as const;
/** Source: pkg/source/source.go. */
export type Source = (typeof SOURCES)[number];

export interface IpcacheEntry {
  /** IPv4, host order; bits after the prefix are cleared. IPv6 is not supported yet. */
  ip: number;
  /** 0..32; 32 for an endpoint or a node. */
  prefixLen: number;
  identity: NumericIdentity;
  source: Source;
  /** The node to tunnel to, IPv4 in host order; undefined for what is on this node or outside the cluster. */
  hostIp: number | undefined;
}

export interface IpcacheListener {
  onUpsert(entry: IpcacheEntry, before: IpcacheEntry | undefined): void;
  onDelete(entry: IpcacheEntry): void;
}

/** Which identity an address or prefix has. Source: pkg/ipcache/ipcache.go. */
export class Ipcache {
  /** By prefix length, then by address. */
  readonly #byLength = Array.from({ length: 33 }, () => new Map<number, IpcacheEntry>());
  readonly #listeners = new Set<IpcacheListener>();

  /** @returns false, and nothing changes, if a stronger source holds the entry */
  upsert(entry: IpcacheEntry): boolean {
    const ip = network(entry.ip, entry.prefixLen);
    const byIp = this.#byLength[entry.prefixLen]!;
    const before = byIp.get(ip);
    if (before !== undefined && !allowOverwrite(before.source, entry.source)) return false;
    const stored = { ...entry, ip };
    byIp.set(ip, stored);
    for (const listener of this.#listeners) listener.onUpsert(stored, before);
    return true;
  }

  /** @returns false if there is no such entry or a stronger source holds it */
  delete(ip: number, prefixLen: number, source: Source): boolean {
    const byIp = this.#byLength[prefixLen]!;
    const entry = byIp.get(network(ip, prefixLen));
    if (entry === undefined || !allowOverwrite(entry.source, source)) return false;
    byIp.delete(entry.ip);
    for (const listener of this.#listeners) listener.onDelete(entry);
    return true;
  }

  get(ip: number, prefixLen: number): IpcacheEntry | undefined {
    return this.#byLength[prefixLen]!.get(network(ip, prefixLen));
  }

  /** The entry with the longest prefix that holds the address. */
  lookup(ip: number): IpcacheEntry | undefined {
    for (let prefixLen = 32; prefixLen >= 0; prefixLen--) {
      const entry = this.get(ip, prefixLen);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** In the order of addresses, shorter prefixes first. */
  entries(): IpcacheEntry[] {
    return this.#byLength
      .flatMap((byIp) => [...byIp.values()])
      .sort((a, b) => a.ip - b.ip || a.prefixLen - b.prefixLen);
  }

  /** The listener is told of what is there already. @returns how to end it */
  subscribe(listener: IpcacheListener): () => void {
    for (const entry of this.entries()) listener.onUpsert(entry, undefined);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** May state from source `next` replace state from source `existing`? */
export const allowOverwrite = (existing: Source, next: Source): boolean =>
  SOURCES.indexOf(next) <= SOURCES.indexOf(existing);

/** A mask of no bits needs its own case: JavaScript shifts by the count modulo 32, so `<< 32` does nothing. */
const network = (ip: number, prefixLen: number): number =>
  prefixLen === 0 ? 0 : (ip & (0xffffffff << (32 - prefixLen))) >>> 0;
