import type { Labels } from '@ciliate/labels';
import type { NumericIdentity } from './numeric.ts';
import { type IdentityEntry, ReservedIdentities } from './reserved.ts';

/** Told of every identity that comes and goes. */
export interface IdentityObserver {
  onAdd(identity: NumericIdentity, labels: Labels): void;
  onRemove(identity: NumericIdentity, labels: Labels): void;
}

/**
 * All identities known here, number to labels: the reserved and well-known ones from the start, the allocated ones as
 * the allocator sees them. Policy selects among them.
 */
export class IdentityCache {
  readonly reserved: ReservedIdentities;
  readonly #labels = new Map<NumericIdentity, Labels>();
  readonly #observers = new Set<IdentityObserver>();

  constructor(clusterName = 'default') {
    this.reserved = new ReservedIdentities(clusterName);
    for (const [identity, labels] of this.reserved.entries) this.#labels.set(identity, labels);
  }

  get size(): number {
    return this.#labels.size;
  }

  get(identity: NumericIdentity): Labels | undefined {
    return this.#labels.get(identity);
  }

  /** In the order of the numbers. */
  entries(): IdentityEntry[] {
    return [...this.#labels].sort(([a], [b]) => a - b);
  }

  /** An identity appeared. Nothing happens if it is known; with other labels it goes first and then comes again. */
  add(identity: NumericIdentity, labels: Labels): void {
    const before = this.#labels.get(identity);
    if (before?.equals(labels)) return;
    if (before !== undefined) this.remove(identity);
    this.#labels.set(identity, labels);
    for (const observer of this.#observers) observer.onAdd(identity, labels);
  }

  remove(identity: NumericIdentity): void {
    const labels = this.#labels.get(identity);
    if (labels === undefined) return;
    this.#labels.delete(identity);
    for (const observer of this.#observers) observer.onRemove(identity, labels);
  }

  /** The observer is told of what is known already, in the order of the numbers. @returns how to end it */
  subscribe(observer: IdentityObserver): () => void {
    for (const [identity, labels] of this.entries()) observer.onAdd(identity, labels);
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }
}
