import type { IpAddress } from '@ciliate/packet';

/** A name that answered with an address, and until when that holds. */
export interface NameAddress {
  /** Absolute, lower case. */
  readonly name: string;
  /** IPv4, host order. */
  readonly address: IpAddress;
  /** Seconds of the clock that is passed in. */
  readonly expiresS: number;
}

export interface DnsCacheLimits {
  /** `--tofqdns-min-ttl`: no answer counts for less, in seconds. */
  readonly minTtlS: number;
  /** `--tofqdns-endpoint-max-ip-per-hostname`. */
  readonly maxIpsPerHost: number;
}

/**
 * What one endpoint learnt by DNS. Time does not pass by itself: an entry stays until `gc` finds it expired, as in Cilium,
 * where lookups are held against the last collection. Source: pkg/fqdn/cache.go.
 */
export class DnsCache {
  readonly #limits: DnsCacheLimits;
  /** Name → address → when it expires. */
  readonly #forward = new Map<string, Map<IpAddress, number>>();

  constructor(limits: DnsCacheLimits) {
    this.#limits = limits;
  }

  /**
   * An answer. For each address the later expiry counts.
   * @returns the addresses that are new or last longer than before
   */
  update(name: string, addresses: Iterable<IpAddress>, ttlS: number, nowS: number): IpAddress[] {
    const expiresS = nowS + Math.max(ttlS, this.#limits.minTtlS);
    const known = this.#forward.get(name) ?? new Map<IpAddress, number>();
    const changed: IpAddress[] = [];
    for (const address of addresses) {
      if ((known.get(address) ?? -1) >= expiresS) continue;
      known.set(address, expiresS);
      changed.push(address);
    }
    if (known.size > 0) this.#forward.set(name, known);
    return changed;
  }

  /**
   * Forgets what expired before now, and of names with too many addresses those that expire first.
   * @returns what was forgotten
   */
  gc(nowS: number): NameAddress[] {
    const gone: NameAddress[] = [];
    for (const [name, addresses] of this.#forward) {
      const drop = (address: IpAddress, expiresS: number): void => {
        addresses.delete(address);
        gone.push({ name, address, expiresS });
      };
      for (const [address, expiresS] of addresses) if (expiresS < nowS) drop(address, expiresS);
      const excess = addresses.size - this.#limits.maxIpsPerHost;
      if (excess > 0) {
        const first = [...addresses].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)).slice(0, excess);
        for (const [address, expiresS] of first) drop(address, expiresS);
      }
      if (addresses.size === 0) this.#forward.delete(name);
    }
    return gone;
  }

  /** By names in the order in which they were learnt. */
  *entries(): Iterable<NameAddress> {
    for (const [name, addresses] of this.#forward)
      for (const [address, expiresS] of addresses) yield { name, address, expiresS };
  }
}
