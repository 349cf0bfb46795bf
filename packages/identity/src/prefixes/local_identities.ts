import type { Labels } from '@ciliate/labels';
import { IdentityError } from '../errors.ts';
import { type NumericIdentity, SCOPE_LOCAL } from '../numeric.ts';

/** The lower 24 bits of 0 mean nothing, so the first number is 1. */
const FIRST = SCOPE_LOCAL + 1;
const LAST = SCOPE_LOCAL + 0xffffff;

/** Identities that only this node knows; equal labels share one. Source: pkg/identity/cache/local.go. */
export class LocalIdentities {
  readonly #byLabels = new Map<string, { identity: NumericIdentity; users: number }>();
  readonly #labels = new Map<NumericIdentity, Labels>();
  #next = FIRST;

  /**
   * The identity of these labels, which must be released as often as it was acquired. Numbers are handed out in order
   * and come round again only after the last one.
   * @throws IdentityError EXHAUSTED
   */
  acquire(labels: Labels): { identity: NumericIdentity; isNew: boolean } {
    const key = labels.sortedList();
    const known = this.#byLabels.get(key);
    if (known !== undefined) {
      known.users++;
      return { identity: known.identity, isNew: false };
    }
    const identity = this.#free();
    this.#byLabels.set(key, { identity, users: 1 });
    this.#labels.set(identity, labels);
    return { identity, isNew: true };
  }

  /**
   * @returns whether that was the last use: the identity is gone
   * @throws IdentityError NOT_ALLOCATED
   */
  release(identity: NumericIdentity): boolean {
    const key = this.#labels.get(identity)?.sortedList();
    const known = key === undefined ? undefined : this.#byLabels.get(key);
    if (key === undefined || known === undefined)
      throw new IdentityError('NOT_ALLOCATED', 'no such local identity', { identity });
    if (--known.users > 0) return false;
    this.#byLabels.delete(key);
    this.#labels.delete(identity);
    return true;
  }

  labelsOf(identity: NumericIdentity): Labels | undefined {
    return this.#labels.get(identity);
  }

  get size(): number {
    return this.#labels.size;
  }

  #free(): NumericIdentity {
    if (this.#labels.size > LAST - FIRST) throw new IdentityError('EXHAUSTED', 'every local identity is in use');
    let identity = this.#next;
    while (this.#labels.has(identity)) identity = following(identity);
    this.#next = following(identity);
    return identity;
  }
}

const following = (identity: NumericIdentity): NumericIdentity => (identity === LAST ? FIRST : identity + 1);
