import { MAP_HEADER } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/** In front of a node of an LRU hash: its neighbours in the list, whether it was used, the list it is in. */
export const LRU = { prefix: 16, prev: -16, next: -12, used: -8, list: -4 } as const;
/** A list in the header: first (newest), last, length. */
const LIST = { first: 0, last: 4, length: 8 } as const;

const MAX_ROTATIONS = 3;

/**
 * Which entry an LRU hash gives up: two lists, inactive and active, and a bit for each entry that says it was used since
 * it was last looked at. A new entry comes first in the inactive list. To find a victim, the last of the inactive list
 * is taken; if it was used, it moves to the active list instead and loses its bit. While the active list is the longer
 * one, its unused entries move to the inactive one. Source: semantics of kernel/bpf/bpf_lru_list.c, with one list for
 * all CPUs, and one victim at a time where the kernel frees up to 128 together.
 */
export class LruList {
  private readonly words: Int32Array;
  private readonly inactive: Address;
  private readonly active: Address;

  constructor(memory: Memory, header: Address) {
    this.words = memory.i32;
    this.inactive = header + MAP_HEADER.inactive;
    this.active = header + MAP_HEADER.active;
  }

  add(node: Address): void {
    this.words[(node + LRU.used) >> 2] = 0;
    this.push(node, this.inactive);
  }

  /** Marks an entry as used. Any thread; only once, as a store each time would take the line from the others' caches. */
  touch(node: Address): void {
    const used = (node + LRU.used) >> 2;
    if (this.words[used] === 0) this.words[used] = 1;
  }

  /** Takes the node out. */
  remove(node: Address): void {
    const words = this.words;
    const list = words[(node + LRU.list) >> 2]!;
    const prev = words[(node + LRU.prev) >> 2]!;
    const next = words[(node + LRU.next) >> 2]!;
    words[(prev === NULL ? list + LIST.first : prev + LRU.next) >> 2] = next;
    words[(next === NULL ? list + LIST.last : next + LRU.prev) >> 2] = prev;
    words[(list + LIST.length) >> 2]! -= 1;
  }

  /** The entry to give up, or NULL if there is none. It stays in its list. */
  victim(): Address {
    if (this.length(this.inactive) < this.length(this.active)) this.rotateActive();
    for (let rotations = 0; ; ) {
      const node = this.words[(this.inactive + LIST.last) >> 2]!;
      if (node === NULL) {
        // Readers may use entries faster than this clears their bits: then the oldest has to go.
        if (++rotations > MAX_ROTATIONS) return this.words[(this.active + LIST.last) >> 2]!;
        this.rotateActive();
      } else if (!this.takeUsed(node)) return node;
      else this.move(node, this.active);
    }
  }

  /** Looks at every active entry once: used ones stay, the others become inactive. */
  private rotateActive(): void {
    for (let left = this.length(this.active); left > 0; left--) {
      const node = this.words[(this.active + LIST.last) >> 2]!;
      this.move(node, this.takeUsed(node) ? this.active : this.inactive);
    }
  }

  /** Whether the node was used; clears the bit. */
  private takeUsed(node: Address): boolean {
    const at = (node + LRU.used) >> 2;
    const wasUsed = this.words[at] !== 0;
    this.words[at] = 0;
    return wasUsed;
  }

  private move(node: Address, list: Address): void {
    this.remove(node);
    this.push(node, list);
  }

  private push(node: Address, list: Address): void {
    const words = this.words;
    const first = words[(list + LIST.first) >> 2]!;
    words[(node + LRU.prev) >> 2] = NULL;
    words[(node + LRU.next) >> 2] = first;
    words[(node + LRU.list) >> 2] = list;
    words[(first === NULL ? list + LIST.last : first + LRU.prev) >> 2] = node;
    words[(list + LIST.first) >> 2] = node;
    words[(list + LIST.length) >> 2]! += 1;
  }

  private length(list: Address): number {
    return this.words[(list + LIST.length) >> 2]!;
  }
}
