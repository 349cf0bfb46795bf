import type { IpAddress } from '@ciliate/packet';
import type { NameAddress } from './dns_cache.ts';

export interface DnsZombieLimits {
  /** `--tofqdns-max-deferred-connection-deletes`, for one endpoint. */
  readonly maxDeferredDeletes: number;
  /** `--tofqdns-endpoint-max-ip-per-hostname`. */
  readonly maxIpsPerHost: number;
  /** `--tofqdns-idle-connection-grace-period`, in seconds. */
  readonly idleGraceS: number;
}

/** An address that the cache gave up, while connections to it may go on. Times in seconds. */
interface Zombie {
  readonly address: IpAddress;
  readonly names: Set<string>;
  deletePendingAtS: number;
  aliveAtS: number;
  /** How many collections of conntrack had finished when it came. */
  addedAtRun: number;
}

/** Collections of conntrack that must finish before a zombie can be taken for dead. */
const RUNS_BEFORE_DEATH = 2;

/**
 * Addresses whose names expired, kept while the endpoint still has connections to them, so that these do not lose the
 * identity that lets them be. Source: pkg/fqdn/cache.go, DNSZombieMappings.
 */
export class DnsZombies {
  readonly #limits: DnsZombieLimits;
  readonly #zombies = new Map<IpAddress, Zombie>();
  #lastCtGcS = 0;
  #runs = 0;

  constructor(limits: DnsZombieLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#zombies.size;
  }

  /** The cache gave it up. */
  upsert({ name, address, expiresS }: NameAddress, nowS: number): void {
    const deletePendingAtS = Math.max(nowS, expiresS);
    const known = this.#zombies.get(address);
    if (known !== undefined) {
      known.names.add(name);
      known.deletePendingAtS = Math.max(known.deletePendingAtS, deletePendingAtS);
      return;
    }
    const names = new Set([name]);
    const zombie = { address, names, deletePendingAtS, aliveAtS: this.#lastCtGcS, addedAtRun: this.#runs };
    this.#zombies.set(address, zombie);
  }

  /** The name answers with the address again. */
  forget(name: string, address: IpAddress): void {
    const zombie = this.#zombies.get(address);
    if (zombie?.names.delete(name) && zombie.names.size === 0) this.#zombies.delete(address);
  }

  /** A collection of conntrack finished, and found connections to these addresses. */
  conntrackCollected(nowS: number, alive: ReadonlySet<IpAddress>): void {
    for (const address of alive) {
      const zombie = this.#zombies.get(address);
      if (zombie !== undefined) zombie.aliveAtS = nowS;
    }
    this.#lastCtGcS = nowS;
    this.#runs++;
  }

  /** Forgets the dead, and beyond the limits also others: those that were alive longest ago first. */
  gc(): void {
    const alive = new Set([...this.#zombies.values()].filter((zombie) => !this.#isDead(zombie)));
    // One address alive keeps the others of its names.
    const names = new Set([...alive].flatMap((zombie) => [...zombie.names]));
    for (const zombie of this.#zombies.values())
      if ([...zombie.names].some((name) => names.has(name))) alive.add(zombie);
    const ordered = [...alive].sort(byWorth);
    const kept = new Set<Zombie>();
    const perName = new Map<string, number>();
    for (const zombie of ordered) {
      if (kept.size >= this.#limits.maxDeferredDeletes) break;
      for (const name of zombie.names) {
        const count = perName.get(name) ?? 0;
        if (count >= this.#limits.maxIpsPerHost) zombie.names.delete(name);
        else perName.set(name, count + 1);
      }
      if (zombie.names.size > 0) kept.add(zombie);
    }
    for (const zombie of this.#zombies.values()) if (!kept.has(zombie)) this.#zombies.delete(zombie.address);
  }

  *entries(): Iterable<{ readonly name: string; readonly address: IpAddress }> {
    for (const { address, names } of this.#zombies.values()) for (const name of names) yield { name, address };
  }

  #isDead({ deletePendingAtS, aliveAtS, addedAtRun }: Zombie): boolean {
    return (
      this.#lastCtGcS > deletePendingAtS + this.#limits.idleGraceS &&
      this.#lastCtGcS > aliveAtS &&
      this.#runs - addedAtRun >= RUNS_BEFORE_DEATH
    );
  }
}

/** Those to keep first: alive last, expired last, with most names. */
const byWorth = (a: Zombie, b: Zombie): number =>
  b.aliveAtS - a.aliveAtS || b.deletePendingAtS - a.deletePendingAtS || b.names.size - a.names.size;
