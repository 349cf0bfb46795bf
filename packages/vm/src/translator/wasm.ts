/** Opcodes and encodings of WebAssembly. Source: WebAssembly Core Specification 3.0, chapter 5. */
export const TYPE = { i32: 0x7f, i64: 0x7e, v128: 0x7b, funcref: 0x70, func: 0x60, none: 0x40 } as const;
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCallIndirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Load: 0x28,
  i64Load: 0x29,
  i64Load8S: 0x30,
  i64Load8U: 0x31,
  i64Load16S: 0x32,
  i64Load16U: 0x33,
  i64Load32S: 0x34,
  i64Load32U: 0x35,
  i32Store: 0x36,
  i64Store: 0x37,
  i64Store8: 0x3c,
  i64Store16: 0x3d,
  i64Store32: 0x3e,
  i32Const: 0x41,
  i64Const: 0x42,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtS: 0x48,
  i32LtU: 0x49,
  i32GtS: 0x4a,
  i32GtU: 0x4b,
  i32LeS: 0x4c,
  i32LeU: 0x4d,
  i32GeS: 0x4e,
  i32GeU: 0x4f,
  i64Eqz: 0x50,
  i64Eq: 0x51,
  i64Ne: 0x52,
  i64LtS: 0x53,
  i64LtU: 0x54,
  i64GtS: 0x55,
  i64GtU: 0x56,
  i64LeS: 0x57,
  i64LeU: 0x58,
  i64GeS: 0x59,
  i64GeU: 0x5a,
  i32Ctz: 0x68,
  i32Popcnt: 0x69,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32DivS: 0x6d,
  i32DivU: 0x6e,
  i32RemS: 0x6f,
  i32RemU: 0x70,
  i32And: 0x71,
  i32Or: 0x72,
  i32Xor: 0x73,
  i32Shl: 0x74,
  i32ShrS: 0x75,
  i32ShrU: 0x76,
  i32Rotl: 0x77,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64DivS: 0x7f,
  i64DivU: 0x80,
  i64RemS: 0x81,
  i64RemU: 0x82,
  i64And: 0x83,
  i64Or: 0x84,
  i64Xor: 0x85,
  i64Shl: 0x86,
  i64ShrS: 0x87,
  i64ShrU: 0x88,
  i64Rotl: 0x89,
  i32WrapI64: 0xa7,
  i64ExtendI32S: 0xac,
  i64ExtendI32U: 0xad,
  i32Extend8S: 0xc0,
  i32Extend16S: 0xc1,
  i64Extend8S: 0xc2,
  i64Extend16S: 0xc3,
  i64Extend32S: 0xc4,
} as const;
/** In front of the atomic instructions. */
export const ATOMIC_PREFIX = 0xfe;
/** The i32 forms of the atomic read-modify-write instructions; the i64 form is the next number. */
export const ATOMIC_OP = { add: 0x1e, and: 0x2c, or: 0x33, xor: 0x3a, xchg: 0x41, cmpxchg: 0x48 } as const;

/** Bytes of code, written front to back. */
export class CodeWriter {
  private buffer: Uint8Array<ArrayBuffer>;
  private length = 0;

  /** @param capacity bytes, at first */
  constructor(capacity = 1024) {
    this.buffer = new Uint8Array(capacity);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(0, this.length);
  }

  /** One byte, or up to four; not a list: this is called for every instruction, and a list would be garbage each time. */
  u8(first: number, second?: number, third?: number, fourth?: number): this {
    this.push(first);
    if (second !== undefined) this.push(second);
    if (third !== undefined) this.push(third);
    if (fourth !== undefined) this.push(fourth);
    return this;
  }

  /** LEB128. */
  unsigned(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.push((rest % 128) | 0x80);
    this.push(rest);
    return this;
  }

  /** LEB128 of an i32. */
  signed(value: number): this {
    let rest = value | 0;
    for (; rest < -64 || rest > 63; rest >>= 7) this.push((rest & 0x7f) | 0x80);
    this.push(rest & 0x7f);
    return this;
  }

  append(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** With its length in front. */
  sized(bytes: Uint8Array): this {
    return this.unsigned(bytes.length).append(bytes);
  }

  text(name: string): this {
    return this.sized(new TextEncoder().encode(name));
  }

  i32(value: number): this {
    return this.u8(OP.i32Const).signed(value);
  }

  /** An i64 constant; a number stands for itself, sign and all. */
  i64(value: number | bigint): this {
    this.push(OP.i64Const);
    if (typeof value === 'number') return this.signed(value);
    let rest = BigInt.asIntN(64, value);
    for (; rest < -64n || rest > 63n; rest >>= 7n) this.push(Number(rest & 0x7fn) | 0x80);
    this.push(Number(rest & 0x7fn));
    return this;
  }

  get(local: number): this {
    this.push(OP.localGet);
    return this.unsigned(local);
  }
  set(local: number): this {
    this.push(OP.localSet);
    return this.unsigned(local);
  }
  tee(local: number): this {
    this.push(OP.localTee);
    return this.unsigned(local);
  }
  call(index: number): this {
    return this.u8(OP.call).unsigned(index);
  }
  /** A load or store; `align` is the alignment promised, as a power of two. */
  memory(op: number, offset: number, align = 0): this {
    return this.u8(op).unsigned(align).unsigned(offset);
  }

  private push(byte: number): void {
    if (this.length === this.buffer.length) this.reserve(1);
    this.buffer[this.length++] = byte;
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + bytes));
    larger.set(this.bytes);
    this.buffer = larger;
  }
}
