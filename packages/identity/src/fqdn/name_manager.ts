import { Labels } from '@ciliate/labels';
import type { IpAddress } from '@ciliate/packet';
import { DnsCache, type DnsCacheLimits } from './dns_cache.ts';
import { type DnsZombieLimits, DnsZombies } from './dns_zombies.ts';
import { absoluteName } from './match_pattern.ts';
import { compileSelector, fqdnLabel, type NameSelector } from './name_selector.ts';

export type FqdnConfig = DnsCacheLimits & DnsZombieLimits;

/** As Cilium's flags have it. */
export const FQDN_CONFIG: FqdnConfig = {
  minTtlS: 0,
  maxIpsPerHost: 1000,
  maxDeferredDeletes: 10_000,
  idleGraceS: 0,
};

interface EndpointNames {
  readonly cache: DnsCache;
  readonly zombies: DnsZombies;
}

/**
 * What endpoints learnt by DNS, and which labels their addresses have by it: one `fqdn:` label for each entry of `toFQDNs` in
 * use that selects one of the names. What one endpoint learnt counts for all. Source: pkg/fqdn/namemanager.
 */
export class NameManager {
  readonly #config: FqdnConfig;
  readonly #endpoints = new Map<number, EndpointNames>();
  #selectors: readonly { readonly label: ReturnType<typeof fqdnLabel>; readonly selects: (name: string) => boolean }[] =
    [];

  constructor(config: FqdnConfig = FQDN_CONFIG) {
    this.#config = config;
  }

  /** All entries of `toFQDNs` in use. */
  setSelectors(selectors: readonly NameSelector[]): void {
    this.#selectors = selectors.map((one) => ({ label: fqdnLabel(one), selects: compileSelector(one) }));
  }

  /**
   * An endpoint got an answer.
   * @param name in any form
   * @returns whether it told anything new
   */
  learn(endpoint: number, name: string, addresses: Iterable<IpAddress>, ttlS: number, nowS: number): boolean {
    const absolute = absoluteName(name);
    const { cache, zombies } = this.#namesOf(endpoint);
    const changed = cache.update(absolute, addresses, ttlS, nowS);
    for (const address of changed) zombies.forget(absolute, address);
    return changed.length > 0;
  }

  /**
   * To be done every minute, after a collection of conntrack.
   * @param alive the addresses that an endpoint has connections to
   */
  gc(nowS: number, alive: (endpoint: number) => ReadonlySet<IpAddress>): void {
    for (const [id, { cache, zombies }] of this.#endpoints) {
      for (const gone of cache.gc(nowS)) zombies.upsert(gone, nowS);
      zombies.conntrackCollected(nowS, alive(id));
      zombies.gc();
    }
  }

  /** The endpoint is gone, and with it what it learnt. */
  removeEndpoint(endpoint: number): void {
    this.#endpoints.delete(endpoint);
  }

  /** Address → the labels that its names give it; without those that no selector selects. */
  labels(): Map<IpAddress, Labels> {
    const labels = new Map<IpAddress, Labels>();
    const byName = new Map<string, Labels>();
    for (const { name, address } of this.entries()) {
      let own = byName.get(name);
      if (own === undefined) {
        own = Labels.of(this.#selectors.filter(({ selects }) => selects(name)).map(({ label }) => label));
        byName.set(name, own);
      }
      if ([...own].length === 0) continue;
      const before = labels.get(address);
      labels.set(address, before === undefined ? own : Labels.of([...before, ...own]));
    }
    return labels;
  }

  /** Every name with every address that it stands for now, for some endpoint. */
  *entries(): Iterable<{ readonly endpoint: number; readonly name: string; readonly address: IpAddress }> {
    for (const [endpoint, { cache, zombies }] of this.#endpoints) {
      for (const { name, address } of cache.entries()) yield { endpoint, name, address };
      for (const { name, address } of zombies.entries()) yield { endpoint, name, address };
    }
  }

  #namesOf(endpoint: number): EndpointNames {
    let names = this.#endpoints.get(endpoint);
    if (names === undefined) {
      names = { cache: new DnsCache(this.#config), zombies: new DnsZombies(this.#config) };
      this.#endpoints.set(endpoint, names);
    }
    return names;
  }
}
