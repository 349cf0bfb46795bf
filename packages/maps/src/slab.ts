import { EBUSY, ENOMEM, MapError } from './errors.ts';
import { lockWord, unlockWord } from './locks.ts';
import { MAP_HEADER } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { allReached, nextEpoch } from './readers.ts';

/**
 * A chunk: this header, its nodes, then what each node has per worker. Chunks with a free node are one list, all chunks
 * another; `freeHead` chains free nodes of the chunk, `fresh` is its first node never used.
 */
const CHUNK = {
  freePrev: 0,
  freeNext: 4,
  allPrev: 8,
  allNext: 12,
  freeHead: 16,
  fresh: 20,
  used: 24,
  size: 32,
} as const;
/** In every node: the address of its chunk. The low three bits are the owner's. */
const NODE_CHUNK = 8;
const CHUNK_MASK = ~7;
const CHUNK_BYTES = 8192;

/** What `Slab.init` needs to know about the nodes. */
export interface NodeShape {
  /** Bytes from one node to the next. */
  stride: number;
  /** Bytes of a node that lie in front of its address. */
  prefix: number;
  /** Bytes that each node has besides, for each worker. */
  perCpu: number;
}

/**
 * The entries of a hash or trie: nodes of equal size that never move, in chunks which are taken from the memory when
 * they are needed and given back when they are empty. Also the writers' lock. All state is in the map's header.
 *
 * A node unlinked by a writer is *retired*: it may still be read, so its links, key and value stay as they are, and
 * it is chained through a word of its own (`linkOffset`). Retired nodes wait in two generations: `retired` collects;
 * once `waiting` has become free, it takes its place and asks the readers for the next epoch. Nodes of a single-owner
 * map skip that, and such a map is not locked.
 */
export class Slab {
  private readonly memory: Memory;
  private readonly words: Int32Array;
  private readonly header: Address;
  private readonly link: number;
  private readonly stride: number;
  private readonly chunkNodes: number;
  private readonly isShared: boolean;

  /** More retired nodes than this start a generation of their own. */
  private static readonly BATCH = 64;
  /** More retired nodes than this make a writer wait for the readers. */
  private static readonly MAX_RETIRED = 256;

  constructor(memory: Memory, header: Address, linkOffset: number, singleOwner: boolean) {
    this.memory = memory;
    this.words = memory.i32;
    this.header = header;
    this.link = linkOffset;
    this.stride = this.get(MAP_HEADER.stride);
    this.chunkNodes = this.get(MAP_HEADER.chunkNodes);
    this.isShared = !singleOwner;
  }

  /** Sets the sizes of chunks in a header just created. */
  static init(memory: Memory, header: Address, { stride, prefix, perCpu }: NodeShape): void {
    const words = memory.u32;
    const cpus = words[(header + MAP_HEADER.cpus) >> 2]!;
    const bytesPerNode = stride + cpus * perCpu;
    const maxEntries = words[(header + MAP_HEADER.maxEntries) >> 2]!;
    const nodes = Math.min(Math.max(Math.floor((CHUNK_BYTES - CHUNK.size) / bytesPerNode), 4), Math.max(maxEntries, 4));
    words[(header + MAP_HEADER.chunkNodes) >> 2] = nodes;
    words[(header + MAP_HEADER.nodePrefix) >> 2] = prefix;
    words[(header + MAP_HEADER.chunkBytes) >> 2] = CHUNK.size + nodes * bytesPerNode;
    words[(header + MAP_HEADER.cpuStride) >> 2] = nodes * perCpu;
  }

  /** Gives all chunks back; nobody may look at the map any more. */
  static freeAll(memory: Memory, header: Address): void {
    const words = memory.u32;
    const bytes = words[(header + MAP_HEADER.chunkBytes) >> 2]!;
    for (let chunk = words[(header + MAP_HEADER.chunks) >> 2]!; chunk !== NULL; ) {
      const next = words[(chunk + CHUNK.allNext) >> 2]!;
      memory.free(chunk, bytes);
      chunk = next;
    }
  }

  lock(): void {
    if (this.isShared) lockWord(this.words, this.header + MAP_HEADER.lock);
  }
  unlock(): void {
    if (this.isShared) unlockWord(this.words, this.header + MAP_HEADER.lock);
  }

  /**
   * Sees to it that `take` answers `count` times. Under the lock, which it lets go of while it waits: call it before
   * looking at anything.
   * @returns 0; -EBUSY if a reader does not let go of retired nodes; -ENOMEM
   */
  reserve(count: number): number {
    if (this.retiredCount() > Slab.MAX_RETIRED) {
      this.advance();
      if (this.memory.waits && this.retiredCount() > Slab.MAX_RETIRED && !this.waitForReaders()) return -EBUSY;
    }
    while (this.get(MAP_HEADER.freeCount) < count) {
      if (this.grow()) continue;
      if (this.retiredCount() === 0 || !this.memory.waits) return -ENOMEM;
      if (!this.waitForReaders()) return -EBUSY;
    }
    return 0;
  }

  /** After `reserve`. @returns a node with old bytes in it; its chunk word is set */
  take(): Address {
    const words = this.words;
    const chunk = this.get(MAP_HEADER.chunksWithFree);
    let node = words[(chunk + CHUNK.freeHead) >> 2]!;
    if (node !== NULL) words[(chunk + CHUNK.freeHead) >> 2] = words[(node + this.link) >> 2]!;
    else {
      node = words[(chunk + CHUNK.fresh) >> 2]!;
      words[(chunk + CHUNK.fresh) >> 2] = node + this.stride;
    }
    words[(node + NODE_CHUNK) >> 2] = chunk;
    const used = words[(chunk + CHUNK.used) >> 2]! + 1;
    words[(chunk + CHUNK.used) >> 2] = used;
    if (used === this.chunkNodes) this.unchain(chunk, MAP_HEADER.chunksWithFree, CHUNK.freePrev);
    this.add(MAP_HEADER.freeCount, -1);
    return node;
  }

  /** Where worker 0's bytes of a taken node lie; the next worker's follow after `cpuStride`. */
  perCpuOf(node: Address, perCpu: number): Address {
    const chunk = this.words[(node + NODE_CHUNK) >> 2]! & CHUNK_MASK;
    const index = (node - chunk - CHUNK.size - this.get(MAP_HEADER.nodePrefix)) / this.stride;
    return chunk + CHUNK.size + this.chunkNodes * this.stride + index * perCpu;
  }

  /** Takes back a node that was just unlinked. Under the lock. */
  retire(node: Address): void {
    if (!this.isShared) {
      this.free(node);
      return;
    }
    this.words[(node + this.link) >> 2] = this.get(MAP_HEADER.retired);
    this.set(MAP_HEADER.retired, node);
    this.add(MAP_HEADER.retiredCount, 1);
    if (this.get(MAP_HEADER.retiredCount) >= Slab.BATCH) this.advance();
  }

  /** Frees the waiting generation if no reader holds it any more, and lets the next one wait. */
  private advance(): void {
    if (this.get(MAP_HEADER.waiting) !== NULL) {
      if (!allReached(this.words, this.get(MAP_HEADER.waitingEpoch))) return;
      this.freeWaiting();
    }
    if (this.get(MAP_HEADER.retired) === NULL) return;
    this.mergeRetired();
    if (allReached(this.words, this.get(MAP_HEADER.waitingEpoch))) this.freeWaiting();
  }

  /** Lets all retired nodes wait for one new epoch. */
  private mergeRetired(): void {
    const words = this.words;
    for (let node = this.get(MAP_HEADER.retired); node !== NULL; ) {
      const next = words[(node + this.link) >> 2]!;
      words[(node + this.link) >> 2] = this.get(MAP_HEADER.waiting);
      this.set(MAP_HEADER.waiting, node);
      node = next;
    }
    this.add(MAP_HEADER.waitingCount, this.get(MAP_HEADER.retiredCount));
    this.set(MAP_HEADER.retired, NULL);
    this.set(MAP_HEADER.retiredCount, 0);
    this.set(MAP_HEADER.waitingEpoch, nextEpoch(words));
  }

  /** Without the lock, which a reader may be waiting for: it could pass no quiet point. */
  private waitForReaders(): boolean {
    this.mergeRetired();
    this.unlock();
    const haveCome = this.memory.synchronize();
    this.lock();
    this.advance();
    return haveCome;
  }

  private freeWaiting(): void {
    const words = this.words;
    for (let node = this.get(MAP_HEADER.waiting); node !== NULL; ) {
      const next = words[(node + this.link) >> 2]!;
      this.free(node);
      node = next;
    }
    this.set(MAP_HEADER.waiting, NULL);
    this.set(MAP_HEADER.waitingCount, 0);
  }

  private free(node: Address): void {
    const words = this.words;
    const chunk = words[(node + NODE_CHUNK) >> 2]! & CHUNK_MASK;
    words[(node + this.link) >> 2] = words[(chunk + CHUNK.freeHead) >> 2]!;
    words[(chunk + CHUNK.freeHead) >> 2] = node;
    const used = words[(chunk + CHUNK.used) >> 2]! - 1;
    words[(chunk + CHUNK.used) >> 2] = used;
    this.add(MAP_HEADER.freeCount, 1);
    if (used === this.chunkNodes - 1) this.chain(chunk, MAP_HEADER.chunksWithFree, CHUNK.freePrev);
    // Some more free ones must be left, or a map that goes to and fro at a chunk's edge would give and take all the time.
    if (used > 0 || this.get(MAP_HEADER.freeCount) < this.chunkNodes * 1.5) return;
    this.unchain(chunk, MAP_HEADER.chunksWithFree, CHUNK.freePrev);
    this.unchain(chunk, MAP_HEADER.chunks, CHUNK.allPrev);
    this.add(MAP_HEADER.freeCount, -this.chunkNodes);
    this.add(MAP_HEADER.chunkCount, -1);
    this.memory.free(chunk, this.get(MAP_HEADER.chunkBytes));
  }

  /** Takes one more chunk from the memory. @returns false if it has none */
  private grow(): boolean {
    let chunk: Address;
    try {
      chunk = this.memory.alloc(this.get(MAP_HEADER.chunkBytes));
    } catch (error) {
      if (error instanceof MapError && error.code === 'ENOMEM') return false;
      throw error;
    }
    this.words[(chunk + CHUNK.fresh) >> 2] = chunk + CHUNK.size + this.get(MAP_HEADER.nodePrefix);
    this.chain(chunk, MAP_HEADER.chunks, CHUNK.allPrev);
    this.chain(chunk, MAP_HEADER.chunksWithFree, CHUNK.freePrev);
    this.add(MAP_HEADER.chunkCount, 1);
    this.add(MAP_HEADER.freeCount, this.chunkNodes);
    return true;
  }

  /** @param prev offset of the chunk's two words in this list */
  private chain(chunk: Address, head: number, prev: number): void {
    const words = this.words;
    const first = this.get(head);
    words[(chunk + prev) >> 2] = NULL;
    words[(chunk + prev + 4) >> 2] = first;
    if (first !== NULL) words[(first + prev) >> 2] = chunk;
    this.set(head, chunk);
  }

  private unchain(chunk: Address, head: number, prev: number): void {
    const words = this.words;
    const before = words[(chunk + prev) >> 2]!;
    const after = words[(chunk + prev + 4) >> 2]!;
    if (before === NULL) this.set(head, after);
    else words[(before + prev + 4) >> 2] = after;
    if (after !== NULL) words[(after + prev) >> 2] = before;
  }

  private retiredCount(): number {
    return this.get(MAP_HEADER.retiredCount) + this.get(MAP_HEADER.waitingCount);
  }
  private get(field: number): number {
    return this.words[(this.header + field) >> 2]!;
  }
  private set(field: number, value: number): void {
    this.words[(this.header + field) >> 2] = value;
  }
  private add(field: number, by: number): void {
    this.words[(this.header + field) >> 2]! += by;
  }
}
