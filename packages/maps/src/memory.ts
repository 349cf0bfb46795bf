import { allocate, HEAP, initHeap, release } from './allocator.ts';
import { MapError } from './errors.ts';
import { initReaders, waitForReaders } from './readers.ts';

/** A place in a `Memory`, in bytes from its start. 0 is NULL. */
export type Address = number;
export const NULL: Address = 0;

/** A shared WebAssembly.Memory. Node's types do not declare it; a thread can post one to another, as it can a buffer. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => WasmMemory;
};

const MAGIC = 0x494c_4943; // 'CILI'
const VERSION = 1;
const WASM_PAGE = 65_536;
const DEFAULT_SIZE = 512 * 1024 * 1024;
const MAX_SIZE = 2 * 1024 * 1024 * 1024;
/** The heap ends here at the latest: the end of a block must still be a positive i32. */
const MAX_HEAP_END = MAX_SIZE - 8;
/** Where the heap begins; in front of it: the words below, the allocator's (`HEAP`) and the readers' (`READERS`). */
const HEAP_START = 8192;
/** `clock` is a u64; the others are u32. `pins` is the address of the newest pin. */
export const FIRST_PAGE = { magic: 0, version: 4, clock: 8, pins: 40 } as const;
/** Address of the clock word, for code that reads it without `Memory`. */
export const CLOCK_WORD: Address = FIRST_PAGE.clock;

/**
 * The one memory that holds all maps: a shared WebAssembly memory of fixed size, seen through typed arrays. Its pages
 * cost nothing until touched. Typed views are little-endian, as every machine is that runs Node.js.
 *
 * Threads share `buffer`, or `wasm` where WebAssembly code runs on it; each makes its own `Memory` of it by `attach`.
 */
export class Memory {
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly u64: BigUint64Array;
  readonly view: DataView;

  /** Whether writers of this thread may wait for readers: see `Reader.join`. */
  waits = true;

  /** The clock word; what of it `nowSeconds` saw last, and what it answered. */
  private readonly clock: Float64Array;
  private lastClock = 0;
  private lastSeconds = 0;

  private readonly wasmMemory: WasmMemory | undefined;

  private constructor(buffer: SharedArrayBuffer, wasmMemory: WasmMemory | undefined) {
    this.buffer = buffer;
    this.wasmMemory = wasmMemory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.view = new DataView(buffer);
    this.clock = new Float64Array(buffer, FIRST_PAGE.clock, 1);
  }

  /**
   * @param sizeBytes rounded up to 64 KiB; it never grows, because other threads' views would not see it
   * @throws MapError EINVAL beyond 2 GiB, ENOMEM if the system refuses
   */
  static create(sizeBytes: number = DEFAULT_SIZE): Memory {
    const pages = Math.ceil(sizeBytes / WASM_PAGE);
    if (!(pages >= 1 && pages * WASM_PAGE <= MAX_SIZE)) {
      throw new MapError('EINVAL', 'a memory has between 1 byte and 2 GiB', { sizeBytes });
    }
    const wasm = reserve(pages);
    const memory = new Memory(wasm.buffer, wasm);
    initHeap(memory.i32, HEAP_START, Math.min(pages * WASM_PAGE, MAX_HEAP_END));
    initReaders(memory.i32);
    memory.u32[FIRST_PAGE.version >> 2] = VERSION;
    memory.u32[FIRST_PAGE.magic >> 2] = MAGIC;
    return memory;
  }

  /** Open, in another thread, a memory that `create` made. @throws MapError EINVAL if it is not one */
  static attach(from: SharedArrayBuffer | WasmMemory): Memory {
    const wasm = 'buffer' in from ? from : undefined;
    const buffer = 'buffer' in from ? from.buffer : from;
    const words = buffer.byteLength >= WASM_PAGE ? new Uint32Array(buffer, 0, 2) : undefined;
    const magic = words?.[FIRST_PAGE.magic >> 2] ?? 0;
    const version = words?.[FIRST_PAGE.version >> 2] ?? 0;
    if (magic !== MAGIC || version !== VERSION) {
      throw new MapError('EINVAL', 'not a memory of maps', { sizeBytes: buffer.byteLength, magic, version });
    }
    return new Memory(buffer, wasm);
  }

  /** Whether `wasm` answers: the thread did not attach to the bare buffer. */
  get hasWasm(): boolean {
    return this.wasmMemory !== undefined;
  }

  /** For WebAssembly code on this memory. @throws MapError EINVAL if the thread attached to the bare buffer */
  get wasm(): WasmMemory {
    if (this.wasmMemory !== undefined) return this.wasmMemory;
    throw new MapError('EINVAL', 'attach to Memory.wasm, not to its buffer, to run WebAssembly on it', {});
  }

  /** @returns address of `sizeBytes` zero bytes, on a multiple of 8. Any thread. @throws MapError ENOMEM */
  alloc(sizeBytes: number): Address {
    return allocate(this.i32, this.u8, sizeBytes);
  }

  /** Gives back a block of `alloc`, which must have had this size. Any thread. */
  free(at: Address, sizeBytes: number): void {
    release(this.i32, at, sizeBytes);
  }

  /** Bytes in use: what `alloc` gave, without what came back. */
  get usedBytes(): number {
    return Atomics.load(this.i32, HEAP.used >> 2);
  }

  /** The clock word, nanoseconds: what bpf_ktime_get_ns answers. Set by whoever drives the run. */
  get nowNs(): bigint {
    return Atomics.load(this.u64, FIRST_PAGE.clock >> 3);
  }
  set nowNs(ns: bigint) {
    Atomics.store(this.u64, FIRST_PAGE.clock >> 3, ns);
  }

  /**
   * The clock word in whole seconds. Allocates nothing, unlike `nowNs`; divides only when the clock has moved. The word is
   * compared as the number that its bits would be as a double, which is one load.
   */
  get nowSeconds(): number {
    const clock = this.clock[0]!;
    if (clock !== this.lastClock) {
      this.lastClock = clock;
      this.lastSeconds = this.readSeconds();
    }
    return this.lastSeconds;
  }

  private readSeconds(): number {
    const words = this.u32;
    const at = FIRST_PAGE.clock >> 2;
    for (;;) {
      const high = words[at + 1]!;
      const low = words[at]!;
      if (words[at + 1] === high) return Math.floor((high * 2 ** 32 + low) / 1e9);
    }
  }

  /**
   * Waits until every `Reader` has passed a quiet point (or pauses): afterwards nobody holds an address that was
   * unlinked before the call. Blocks the thread; a reader of the same thread must pause first.
   *
   * @param timeoutMs how long to wait for a reader that does not come
   * @returns false if the time was over
   */
  synchronize(timeoutMs: number = 10_000): boolean {
    return waitForReaders(this.i32, timeoutMs);
  }
}

function reserve(pages: number): WasmMemory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new MapError('ENOMEM', 'the system gives no such memory', { sizeBytes: pages * WASM_PAGE }, cause);
  }
}
