import type { IpAddress } from '@ciliate/packet';
import type { NumericIdentity } from './numeric.ts';
import { comparePrefixes, type Prefix } from './prefixes/prefix.ts';
import { PrefixTable } from './prefixes/prefix_table.ts';
import { allowOverwrite, type Source } from './source.ts';

export interface IpcacheEntry {
  readonly prefix: Prefix;
  readonly identity: NumericIdentity;
  readonly source: Source;
  /** The node that an endpoint is on, or that stands for the prefix; undefined for what is outside of the cluster. */
  readonly hostIp: IpAddress | undefined;
  /** Index of the key that traffic there is encrypted with; 0: it is not. */
  readonly encryptKey: number;
}

export interface IpcacheListener {
  onUpsert(entry: IpcacheEntry, before: IpcacheEntry | undefined): void;
  onDelete(entry: IpcacheEntry): void;
}

/**
 * Which identity an address or a prefix has. Endpoints and prefixes are told apart: what is said of an endpoint's address
 * shadows what is said of the prefix of one address, which shows again when the endpoint goes. Who looks things up, and
 * the listeners, see what is on top. Source: pkg/ipcache/ipcache.go.
 */
export class Ipcache {
  readonly #endpoints = new PrefixTable<IpcacheEntry>();
  readonly #prefixes = new PrefixTable<IpcacheEntry>();
  readonly #listeners = new Set<IpcacheListener>();

  /**
   * @param entry of one address, or of a block that an agent tells of as one
   * @returns false, and nothing changes, if a stronger source holds the endpoint's address
   */
  upsertEndpoint(entry: IpcacheEntry): boolean {
    const { prefix, source } = entry;
    const before = this.#endpoints.get(prefix);
    if (before !== undefined && !allowOverwrite(before.source, source)) return false;
    const shown = this.get(prefix);
    this.#endpoints.set(prefix, entry);
    this.#tell(shown, entry);
    return true;
  }

  /** @returns false if there is no such endpoint, or another source holds it */
  deleteEndpoint(prefix: Prefix, source: Source): boolean {
    const entry = this.#endpoints.get(prefix);
    if (entry?.source !== source) return false;
    this.#endpoints.delete(prefix);
    this.#tell(entry, this.#prefixes.get(prefix));
    return true;
  }

  /** What all sources together say of a prefix; takes the place of what they said before. */
  upsertPrefix(entry: IpcacheEntry): void {
    const { prefix } = entry;
    const before = this.#prefixes.get(prefix);
    this.#prefixes.set(prefix, entry);
    if (this.#endpoints.get(prefix) === undefined) this.#tell(before, entry);
  }

  deletePrefix(prefix: Prefix): void {
    const before = this.#prefixes.get(prefix);
    this.#prefixes.delete(prefix);
    if (this.#endpoints.get(prefix) === undefined) this.#tell(before, undefined);
  }

  /** What holds for exactly this prefix. */
  get(prefix: Prefix): IpcacheEntry | undefined {
    return this.#endpoints.get(prefix) ?? this.#prefixes.get(prefix);
  }

  /** The entry with the longest prefix that holds the address. */
  lookup(family: 4 | 6, address: bigint): IpcacheEntry | undefined {
    const endpoint = this.#endpoints.lookup(family, address)?.[1];
    const prefix = this.#prefixes.lookup(family, address)?.[1];
    if (endpoint === undefined || prefix === undefined) return endpoint ?? prefix;
    return prefix.prefix.length > endpoint.prefix.length ? prefix : endpoint;
  }

  /** In the order of the prefixes. */
  entries(): IpcacheEntry[] {
    const shown = [...this.#prefixes].filter(([prefix]) => this.#endpoints.get(prefix) === undefined);
    return [...this.#endpoints, ...shown].map(([, entry]) => entry).sort((a, b) => comparePrefixes(a.prefix, b.prefix));
  }

  /** The listener is told of what is there already. @returns how to end it */
  subscribe(listener: IpcacheListener): () => void {
    for (const entry of this.entries()) listener.onUpsert(entry, undefined);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(before: IpcacheEntry | undefined, now: IpcacheEntry | undefined): void {
    for (const listener of this.#listeners) {
      if (now !== undefined) listener.onUpsert(now, before);
      else if (before !== undefined) listener.onDelete(before);
    }
  }
}
