import { MAP_HEADER } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { allReached, nextEpoch } from './readers.ts';

/**
 * The entries of a hash or trie: nodes of equal size in one block that never moves. All state is in the map's header.
 *
 * A node unlinked by the writer is *retired*: it may still be read, so its links, key and value stay as they are, and
 * it is chained through a word of its own (`linkOffset`). Retired nodes wait in two generations: `retired` collects;
 * once `waiting` has become free, it takes its place and asks the readers for the next epoch. Nodes of a single-owner
 * map skip that.
 */
export class Slab {
  private readonly memory: Memory;
  private readonly header: Address;
  private readonly linkOffset: number;
  private readonly stride: number;
  private readonly end: Address;
  private readonly singleOwner: boolean;

  /** More retired nodes than this start a generation of their own, so that memory is used again before it runs out. */
  private static readonly BATCH = 64;
  /** Nodes beyond `maxEntries` that a map with readers has: what may be retired before a writer must wait for them. */
  static readonly SPARE = 256;

  constructor(memory: Memory, header: Address, linkOffset: number, singleOwner: boolean) {
    this.memory = memory;
    this.header = header;
    this.linkOffset = linkOffset;
    this.stride = this.get(MAP_HEADER.stride);
    this.end = this.get(MAP_HEADER.data) + this.get(MAP_HEADER.dataBytes);
    this.singleOwner = singleOwner;
  }

  /** @returns a node with old bytes in it, or NULL if a reader does not let go of the retired ones */
  take(): Address {
    if (this.get(MAP_HEADER.freeList) === NULL) {
      const fresh = this.get(MAP_HEADER.fresh);
      if (fresh < this.end) {
        this.set(MAP_HEADER.fresh, fresh + this.stride);
        return fresh;
      }
      this.advance();
      if (this.get(MAP_HEADER.freeList) === NULL && !this.waitForAll()) return NULL;
    }
    const node = this.get(MAP_HEADER.freeList);
    this.set(MAP_HEADER.freeList, this.memory.i32[(node + this.linkOffset) >> 2]!);
    return node;
  }

  /** Takes back a node that no reader has ever been able to reach. */
  putBack(node: Address): void {
    this.push(MAP_HEADER.freeList, node);
  }

  /** Takes back a node that was just unlinked. */
  retire(node: Address): void {
    if (this.singleOwner) {
      this.putBack(node);
      return;
    }
    this.push(MAP_HEADER.retired, node);
    const count = this.get(MAP_HEADER.retiredCount) + 1;
    this.set(MAP_HEADER.retiredCount, count);
    if (count >= Slab.BATCH) this.advance();
  }

  /** Frees the waiting generation if no reader holds it any more, and lets the next one wait. */
  private advance(): void {
    const words = this.memory.i32;
    if (this.get(MAP_HEADER.waiting) !== NULL) {
      if (!allReached(words, this.get(MAP_HEADER.waitingEpoch))) return;
      this.freeAll(MAP_HEADER.waiting);
    }
    if (this.get(MAP_HEADER.retired) === NULL) return;
    this.set(MAP_HEADER.waiting, this.get(MAP_HEADER.retired));
    this.set(MAP_HEADER.retired, NULL);
    this.set(MAP_HEADER.retiredCount, 0);
    this.set(MAP_HEADER.waitingEpoch, nextEpoch(words));
    if (allReached(words, this.get(MAP_HEADER.waitingEpoch))) this.freeAll(MAP_HEADER.waiting);
  }

  private waitForAll(): boolean {
    if (!this.memory.synchronize()) return false;
    this.freeAll(MAP_HEADER.waiting);
    this.freeAll(MAP_HEADER.retired);
    this.set(MAP_HEADER.retiredCount, 0);
    return this.get(MAP_HEADER.freeList) !== NULL;
  }

  private freeAll(list: number): void {
    for (let node = this.get(list); node !== NULL; ) {
      const next = this.memory.i32[(node + this.linkOffset) >> 2]!;
      this.push(MAP_HEADER.freeList, node);
      node = next;
    }
    this.set(list, NULL);
  }

  private push(list: number, node: Address): void {
    this.memory.i32[(node + this.linkOffset) >> 2] = this.get(list);
    this.set(list, node);
  }

  private get(field: number): number {
    return this.memory.i32[(this.header + field) >> 2]!;
  }
  private set(field: number, value: number): void {
    this.memory.i32[(this.header + field) >> 2] = value;
  }
}
