/**
 * A small assembler for WebAssembly: an expression is the bytes of the instructions that leave its value on the stack.
 * Only what the engines' code needs. Source: WebAssembly Core Specification 2.0, chapter 5.
 */
export type Code = readonly number[];

/** What a thread runs. Node's types do not declare it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
};

export interface WasmFunction {
  name: string;
  /** How many of type i32; they are the first locals. */
  params: number;
  returnsI32: boolean;
  /** How many more locals of type i32, and after them of type v128. */
  i32Locals: number;
  v128Locals: number;
  body: Code;
}

const I32 = 0x7f;
const V128 = 0x7b;
const EMPTY = 0x40;
const SIMD = 0xfd;

export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const seq = (...parts: readonly Code[]): Code => parts.flat();
export const returns = (value: Code): Code => [...value, 0x0f];
export const call = (index: number, ...args: readonly Code[]): Code => [...args.flat(), 0x10, ...unsigned(index)];
/** `condition` ? `a` : `b`, both evaluated. */
export const select = (a: Code, b: Code, condition: Code): Code => [...a, ...b, ...condition, 0x1b];
/** A value of type i32 from one of two branches. */
export const either = (condition: Code, a: Code, b: Code): Code => [...condition, 0x04, I32, ...a, 0x05, ...b, 0x0b];
export const when = (condition: Code, a: Code): Code => [...condition, 0x04, EMPTY, ...a, 0x0b];
/** The body, again as long as the condition behind it holds. */
export const repeatWhile = (body: Code, condition: Code): Code => [
  0x03,
  EMPTY,
  ...body,
  ...condition,
  0x0d,
  0x00,
  0x0b,
];

const op2 =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
const op1 =
  (...opcode: number[]) =>
  (a: Code): Code => [...a, ...opcode];

export const eqz = op1(0x45);
export const eq = op2(0x46);
export const ne = op2(0x47);
export const gtS = op2(0x4a);
export const geS = op2(0x4e);
export const ctz = op1(0x68);
export const popcnt = op1(0x69);
export const add = op2(0x6a);
export const sub = op2(0x6b);
export const mul = op2(0x6c);
export const and = op2(0x71);
export const or = op2(0x72);
export const xor = op2(0x73);
export const shl = op2(0x74);
export const shrU = op2(0x76);

export const load = (at: Code, offset = 0): Code => [...at, 0x28, 0x02, ...unsigned(offset)];
export const store = (at: Code, offset: number, value: Code): Code => [
  ...at,
  ...value,
  0x36,
  0x02,
  ...unsigned(offset),
];

export const loadV128 = (at: Code, offset = 0): Code => [...at, SIMD, 0x00, 0x02, ...unsigned(offset)];
export const i32x4Splat = op1(SIMD, 0x11);
export const i32x4Eq = op2(SIMD, 0x37);
export const i32x4GtS = op2(SIMD, 0x3b);
export const i32x4Bitmask = op1(SIMD, 0xa4, 0x01);
export const i8x16Bitmask = op1(SIMD, 0x64);
export const i8x16NarrowI16x8S = op2(SIMD, 0x65);
export const i16x8NarrowI32x4S = op2(SIMD, 0x85, 0x01);

/** An i32 of each instance, exported as `counter`: threads that run the same code do not share it, as they do the memory. */
export const counter: Code = [0x23, 0x00];
export const setCounter = (value: Code): Code => [...value, 0x24, 0x00];

/** The bytes of a module that imports the shared memory `env.memory` and exports all its functions and its counter. */
export function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ params, returnsI32 }) => [
    0x60,
    ...vector(Array.from({ length: params }, () => [I32])),
    ...vector(returnsI32 ? [[I32]] : []),
  ]);
  const maxPages = 32_768; // 2 GiB, as `Memory` has at most
  const memory = [...text('env'), ...text('memory'), 0x02, 0x03, ...unsigned(1), ...unsigned(maxPages)];
  const exported = functions.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]);
  const exportedCounter = [...text('counter'), 0x03, 0x00];
  const bodies = functions.map(({ i32Locals, v128Locals, body }) => {
    const locals = vector([
      [...unsigned(i32Locals), I32],
      [...unsigned(v128Locals), V128],
    ]);
    return sized([...locals, ...body, 0x0b]);
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, types),
    ...section(2, [memory]),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(6, [[I32, 0x01, ...i32(0), 0x0b]]),
    ...section(7, [...exported, exportedCounter]),
    ...section(10, bodies),
  ]);
}

/** A compiled module: any number of instances can be made of it. */
export type Module = object;

export const compile = (bytes: Uint8Array): Module => new WebAssembly.Module(bytes);

/** @param memory a WebAssembly.Memory, shared. @returns the exported functions */
export const instantiate = (module: Module, memory: object): Record<string, unknown> =>
  new WebAssembly.Instance(module, { env: { memory } }).exports;

const section = (id: number, parts: readonly Code[]): Code => [id, ...sized(vector(parts))];
const sized = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes];
const vector = (parts: readonly Code[]): Code => [...unsigned(parts.length), ...parts.flat()];
const text = (name: string): Code => sized([...new TextEncoder().encode(name)]);

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** LEB128 of an i32. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
}
