import { LoadBalancerError } from './errors.ts';

/**
 * Numbers for addresses: each new one gets the next number after the last that was given out, round again from 1 behind
 * the largest, and keeps it until it is released. Source: pkg/loadbalancer/reconciler, idAllocator.
 */
export class IdAllocator {
  readonly #what: string;
  readonly #max: number;
  readonly #ids = new Map<string, number>();
  readonly #used = new Set<number>();
  #next = 1;

  /** @param what for messages. @param max the numbers are below this one */
  constructor(what: string, max: number) {
    this.#what = what;
    this.#max = max;
  }

  /** @throws LoadBalancerError EXHAUSTED */
  acquire(address: string): number {
    const known = this.#ids.get(address);
    if (known !== undefined) return known;
    if (this.#used.size >= this.#max - 1)
      throw new LoadBalancerError('EXHAUSTED', `no number is left for the ${this.#what} ${address}`, { address });
    while (this.#used.has(this.#next)) this.#advance();
    const id = this.#next;
    this.#advance();
    this.#ids.set(address, id);
    this.#used.add(id);
    return id;
  }

  release(address: string): void {
    const id = this.#ids.get(address);
    if (id === undefined) return;
    this.#ids.delete(address);
    this.#used.delete(id);
  }

  releaseAllBut(addresses: { has(address: string): boolean }): void {
    for (const address of this.#ids.keys()) if (!addresses.has(address)) this.release(address);
  }

  #advance(): void {
    this.#next = this.#next + 1 === this.#max ? 1 : this.#next + 1;
  }
}
