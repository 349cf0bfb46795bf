import type { Bytes } from '../keys.ts';
import type { Version } from './version.ts';

/** The most keys in one leaf. Halves are made at a split, so leaves are about two thirds full. */
const LEAF_MAX = 256;

/**
 * The newest version of every key, in the order of the keys' bytes: a list of leaves, each a sorted list. Two binary
 * searches find a key; an insert moves at most one leaf and, at a split, the list of leaves.
 */
export class KeyIndex {
  /** Never empty; only the first leaf of an empty index is. */
  #leaves: Version[][] = [[]];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: Bytes): Version | undefined {
    const leaf = this.#leaves[this.#leafOf(key)]!;
    const head = leaf[lowerBound(leaf, key)];
    return head?.key === key ? head : undefined;
  }

  /** Insert or replace the newest version of its key. */
  set(head: Version): void {
    const at = this.#leafOf(head.key);
    const leaf = this.#leaves[at]!;
    const slot = lowerBound(leaf, head.key);
    if (leaf[slot]?.key === head.key) {
      leaf[slot] = head;
      return;
    }
    this.#size++;
    // Keys that come in order fill leaves to the brim instead of leaving halves behind.
    if (leaf.length === LEAF_MAX && at === this.#leaves.length - 1 && slot === leaf.length) {
      this.#leaves.push([head]);
      return;
    }
    leaf.splice(slot, 0, head);
    if (leaf.length > LEAF_MAX) this.#leaves.splice(at + 1, 0, leaf.splice(leaf.length >>> 1));
  }

  delete(key: Bytes): void {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at]!;
    const slot = lowerBound(leaf, key);
    if (leaf[slot]?.key !== key) return;
    leaf.splice(slot, 1);
    this.#size--;
    if (leaf.length === 0 && this.#leaves.length > 1) this.#leaves.splice(at, 1);
  }

  /** The newest versions of the keys from `key` on, in order. The index must not change while this is read. */
  *from(key: Bytes): Generator<Version, void, undefined> {
    let at = this.#leafOf(key);
    let slot = lowerBound(this.#leaves[at]!, key);
    for (; at < this.#leaves.length; at++, slot = 0) {
      const leaf = this.#leaves[at]!;
      for (; slot < leaf.length; slot++) yield leaf[slot]!;
    }
  }

  /** The last leaf that starts at or before the key, or the first leaf. */
  #leafOf(key: Bytes): number {
    let low = 1;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#leaves[middle]![0]!.key <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Index of the first version whose key is not before `key`. */
function lowerBound(leaf: readonly Version[], key: Bytes): number {
  let low = 0;
  let high = leaf.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (leaf[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
