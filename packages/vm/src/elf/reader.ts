import { badInput } from '../errors.ts';

const DECODER = new TextDecoder();
/** The high half of Number.MAX_SAFE_INTEGER. */
const MAX_SAFE_HIGH = 0x1f_ffff;
const SHORT = 64;
const MAX_ASCII = 0x7f;

/** Bytes of a file with every access checked: what lies outside is an error of the input, not of the host. */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** What the bytes are, for messages. */
  readonly what: string;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.what = what;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    this.check(at, 1);
    return this.view.getUint8(at);
  }
  u16(at: number): number {
    this.check(at, 2);
    return this.view.getUint16(at, true);
  }
  u32(at: number): number {
    this.check(at, 4);
    return this.view.getUint32(at, true);
  }
  i32(at: number): number {
    this.check(at, 4);
    return this.view.getInt32(at, true);
  }
  /** A u64 that must be a safe integer, as every offset and size in a file is. */
  u64(at: number): number {
    this.check(at, 8);
    const high = this.view.getUint32(at + 4, true);
    if (high > MAX_SAFE_HIGH) throw badInput(`${this.what}: a number is too large`, { offset: at });
    return high * 2 ** 32 + this.view.getUint32(at, true);
  }
  i64(at: number): bigint {
    this.check(at, 8);
    return this.view.getBigInt64(at, true);
  }

  slice(at: number, size: number): Uint8Array {
    this.check(at, size);
    return this.bytes.subarray(at, at + size);
  }

  /** The text up to the next zero byte. */
  text(at: number): string {
    this.check(at, 1);
    const end = this.bytes.indexOf(0, at);
    if (end < 0) throw badInput(`${this.what}: a name has no end`, { offset: at });
    // Names are short, and there are many: most are read faster letter by letter.
    if (end - at > SHORT) return DECODER.decode(this.bytes.subarray(at, end));
    let text = '';
    for (let i = at; i < end; i++) {
      const byte = this.bytes[i]!;
      if (byte > MAX_ASCII) return DECODER.decode(this.bytes.subarray(at, end));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  private check(at: number, size: number): void {
    if (at >= 0 && size >= 0 && at + size <= this.bytes.length) return;
    throw badInput(`${this.what}: cut off`, { offset: at, wanted: size, size: this.bytes.length });
  }
}
