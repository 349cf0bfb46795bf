import { copyBytes, round8 } from './bytes.ts';
import { E2BIG, EAGAIN, ENOTSUPP, MapError } from './errors.ts';
import { lockWord, unlockWord } from './locks.ts';
import {
  BPF_MAP_TYPE_RINGBUF,
  type BpfMap,
  createHeader,
  MAP_HEADER,
  type MapEntry,
  type MapSpec,
  readHeader,
} from './map.ts';
import { mapBytes, releaseMap } from './map_memory.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/** In front of the data, each position on lines of its own. Positions count bytes modulo 2^32. */
const RING = { consumer: 0, producer: 128, size: 256 } as const;
/** In front of each record: its length and two bits, then a word that is not used here. */
const RECORD_HEADER = 8;
const BUSY = 0x8000_0000 | 0;
const DISCARDED = 0x4000_0000;
const LENGTH = 0x3fff_ffff;
const PAGE = 4096;

/** What `query` answers. Source: include/uapi/linux/bpf.h. */
export const BPF_RB_AVAIL_DATA = 0;
export const BPF_RB_RING_SIZE = 1;
export const BPF_RB_CONS_POS = 2;
export const BPF_RB_PROD_POS = 3;

/**
 * BPF_MAP_TYPE_RINGBUF: one ring for all workers; `maxEntries` is its size in bytes. Any thread reserves, fills and submits
 * records; one thread consumes them, in the order of their reservation: one that is not submitted yet holds up those behind
 * it. The kernel maps its data twice, so that a record may run over the end; here the rest up to the end is discarded
 * instead, which takes room.
 */
export class RingBufMap implements BpfMap {
  readonly memory: Memory;
  readonly address: Address;
  readonly type = BPF_MAP_TYPE_RINGBUF;
  readonly spec: Readonly<MapSpec>;
  private readonly words: Int32Array;
  private readonly consumer: number;
  private readonly producer: number;
  private readonly data: Address;
  private readonly mask: number;

  private constructor(memory: Memory, address: Address) {
    this.memory = memory;
    this.address = address;
    this.spec = readHeader(memory, address, BPF_MAP_TYPE_RINGBUF).spec;
    this.words = memory.i32;
    const ring = memory.u32[(address + MAP_HEADER.data) >> 2]!;
    this.consumer = (ring + RING.consumer) >> 2;
    this.producer = (ring + RING.producer) >> 2;
    this.data = ring + RING.size;
    this.mask = this.spec.maxEntries - 1;
  }

  /** @throws MapError EINVAL unless key and value size are 0 and `maxEntries` is a power of two of at least 4096; ENOMEM */
  static create(memory: Memory, spec: MapSpec): RingBufMap {
    const { keySize, valueSize, maxEntries, name = '' } = spec;
    const isPower =
      Number.isInteger(maxEntries) &&
      maxEntries >= PAGE &&
      maxEntries <= 2 ** 30 &&
      Number.isInteger(Math.log2(maxEntries));
    if (keySize !== 0 || valueSize !== 0 || !isPower) {
      throw new MapError('EINVAL', 'a ring buffer cannot have these sizes', { name, keySize, valueSize, maxEntries });
    }
    const shape = { dataBytes: RING.size + maxEntries, stride: 0, valueOffset: 0 };
    return RingBufMap.attach(memory, createHeader(memory, BPF_MAP_TYPE_RINGBUF, spec, shape));
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): RingBufMap {
    return new RingBufMap(memory, address);
  }

  /** bpf_ringbuf_reserve. @returns address of `size` bytes (old content), to be submitted or discarded; NULL if there is no room */
  reserve(size: number): Address {
    const need = round8(size) + RECORD_HEADER;
    if (!(size >= 0 && size <= LENGTH) || need > this.spec.maxEntries) return NULL;
    const words = this.words;
    lockWord(words, this.address + MAP_HEADER.lock);
    const from = words[this.producer]!;
    const untilEnd = this.spec.maxEntries - (from & this.mask);
    const skip = need > untilEnd ? untilEnd : 0;
    const after = (from + skip + need) | 0;
    let record: Address = NULL;
    if ((after - Atomics.load(words, this.consumer)) >>> 0 <= this.mask) {
      if (skip > 0) words[(this.data + (from & this.mask)) >> 2] = DISCARDED | (skip - RECORD_HEADER);
      record = this.data + ((from + skip) & this.mask);
      words[record >> 2] = BUSY | size;
      Atomics.store(words, this.producer, after);
    }
    unlockWord(words, this.address + MAP_HEADER.lock);
    return record === NULL ? NULL : record + RECORD_HEADER;
  }

  /** bpf_ringbuf_submit. */
  submit(sample: Address): void {
    Atomics.and(this.words, (sample - RECORD_HEADER) >> 2, ~BUSY);
  }

  /** bpf_ringbuf_discard: the consumer skips it. */
  discard(sample: Address): void {
    const at = (sample - RECORD_HEADER) >> 2;
    Atomics.store(this.words, at, (this.words[at]! & ~BUSY) | DISCARDED);
  }

  /** bpf_ringbuf_output. @returns 0, -EAGAIN without room, -E2BIG for a record longer than a length can say */
  output(at: Address, size: number): number {
    if (size > LENGTH) return -E2BIG;
    const sample = this.reserve(size);
    if (sample === NULL) return -EAGAIN;
    copyBytes(this.memory, sample, at, size);
    this.submit(sample);
    return 0;
  }

  /** bpf_ringbuf_query; bytes. An unknown question answers 0. */
  query(what: number): number {
    const consumer = Atomics.load(this.words, this.consumer) >>> 0;
    const producer = Atomics.load(this.words, this.producer) >>> 0;
    if (what === BPF_RB_AVAIL_DATA) return (producer - consumer) >>> 0;
    if (what === BPF_RB_RING_SIZE) return this.spec.maxEntries;
    if (what === BPF_RB_CONS_POS) return consumer;
    return what === BPF_RB_PROD_POS ? producer : 0;
  }

  /** Consumer's side: hands over a copy of each submitted record, oldest first, up to one still busy. @returns how many */
  consume(each: (bytes: Uint8Array) => void): number {
    const words = this.words;
    let count = 0;
    for (let at = words[this.consumer]!; at !== Atomics.load(words, this.producer); ) {
      const record = this.data + (at & this.mask);
      const header = Atomics.load(words, record >> 2);
      if ((header & BUSY) !== 0) break;
      const size = header & LENGTH;
      const from = record + RECORD_HEADER;
      const bytes = (header & DISCARDED) === 0 ? new Uint8Array(this.memory.u8.subarray(from, from + size)) : undefined;
      at = (at + RECORD_HEADER + round8(size)) | 0;
      Atomics.store(words, this.consumer, at);
      if (bytes === undefined) continue;
      each(bytes);
      count++;
    }
    return count;
  }

  get count(): number {
    return 0;
  }
  get bytesUsed(): number {
    return mapBytes(this.memory, this.address);
  }
  /** A ring has no keys: always NULL, and the calls below answer -ENOTSUPP. */
  lookup(_key: Address): Address {
    return NULL;
  }
  update(_key: Address, _value: Address): number {
    return -ENOTSUPP;
  }
  delete(_key: Address): number {
    return -ENOTSUPP;
  }
  getNextKey(_key: Address, _nextKey: Address): number {
    return -ENOTSUPP;
  }
  entries(): MapEntry[] {
    return [];
  }

  destroy(): void {
    releaseMap(this.memory, this.address);
  }
}
