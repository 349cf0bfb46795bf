import { CodeWriter, ModuleBuilder, OP, TYPE } from '@ciliate/vm';

/**
 * Expressions for the WebAssembly emitter of the room `vm`: an expression is the bytes of the instructions that leave its value
 * on the stack. Only what the engines' code needs. Source: WebAssembly Core Specification 2.0, chapter 5.
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

const SIMD = 0xfd;
const WORD = 2; // alignment, as a power of two

const written = (write: (w: CodeWriter) => unknown): Code => {
  const w = new CodeWriter(8);
  write(w);
  return [...w.bytes];
};
const unsigned = (value: number): Code => written((w) => w.unsigned(value));

export const i32 = (value: number): Code => written((w) => w.i32(value));
export const get = (local: number): Code => written((w) => w.get(local));
export const set = (local: number, value: Code): Code => [...value, ...written((w) => w.set(local))];
export const seq = (...parts: readonly Code[]): Code => parts.flat();
export const returns = (value: Code): Code => [...value, OP.return];
export const call = (index: number, ...args: readonly Code[]): Code => [
  ...args.flat(),
  ...written((w) => w.call(index)),
];
/** `condition` ? `a` : `b`, both evaluated. */
export const select = (a: Code, b: Code, condition: Code): Code => [...a, ...b, ...condition, OP.select];
/** A value of type i32 from one of two branches. */
export const either = (condition: Code, a: Code, b: Code): Code => [
  ...condition,
  ...[OP.if, TYPE.i32],
  ...a,
  OP.else,
  ...b,
  OP.end,
];
export const when = (condition: Code, a: Code): Code => [...condition, OP.if, TYPE.none, ...a, OP.end];
/** The body, again as long as the condition behind it holds. */
export const repeatWhile = (body: Code, condition: Code): Code => [
  ...[OP.loop, TYPE.none],
  ...body,
  ...condition,
  ...[OP.brIf, 0],
  OP.end,
];

const op2 =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
const op1 =
  (...opcode: number[]) =>
  (a: Code): Code => [...a, ...opcode];

export const eqz = op1(OP.i32Eqz);
export const eq = op2(OP.i32Eq);
export const ne = op2(OP.i32Ne);
export const gtS = op2(OP.i32GtS);
export const geS = op2(OP.i32GeS);
export const ctz = op1(OP.i32Ctz);
export const popcnt = op1(OP.i32Popcnt);
export const add = op2(OP.i32Add);
export const sub = op2(OP.i32Sub);
export const mul = op2(OP.i32Mul);
export const and = op2(OP.i32And);
export const or = op2(OP.i32Or);
export const xor = op2(OP.i32Xor);
export const shl = op2(OP.i32Shl);
export const shrU = op2(OP.i32ShrU);

export const load = (at: Code, offset = 0): Code => [...at, ...written((w) => w.memory(OP.i32Load, offset, WORD))];
export const store = (at: Code, offset: number, value: Code): Code => [
  ...at,
  ...value,
  ...written((w) => w.memory(OP.i32Store, offset, WORD)),
];

export const loadV128 = (at: Code, offset = 0): Code => [...at, SIMD, 0x00, WORD, ...unsigned(offset)];
export const i32x4Splat = op1(SIMD, 0x11);
export const i32x4Eq = op2(SIMD, 0x37);
export const i32x4GtS = op2(SIMD, 0x3b);
export const i32x4Bitmask = op1(SIMD, 0xa4, 0x01);
export const i8x16Bitmask = op1(SIMD, 0x64);
export const i8x16NarrowI16x8S = op2(SIMD, 0x65);
export const i16x8NarrowI32x4S = op2(SIMD, 0x85, 0x01);

/** An i32 of each instance, exported as `counter`: threads that run the same code do not share it, as they do the memory. */
export const counter: Code = [OP.globalGet, 0];
export const setCounter = (value: Code): Code => [...value, OP.globalSet, 0];

/** The bytes of a module that imports the shared memory `env.memory` and exports all its functions and its counter. */
export function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder({ hasTable: false });
  module.addGlobal('counter');
  for (const { name, params, returnsI32, i32Locals, v128Locals, body } of functions) {
    const signature = { params: Array<number>(params).fill(TYPE.i32), results: returnsI32 ? [TYPE.i32] : [] };
    const code = new CodeWriter().append(Uint8Array.from(body));
    module.addFunction({ signature, i32Locals, i64Locals: 0, v128Locals, code, exportedAs: name });
  }
  return module.bytes();
}

/** A compiled module: any number of instances can be made of it. */
export type Module = object;

export const compile = (bytes: Uint8Array): Module => new WebAssembly.Module(bytes);

/** @param memory a WebAssembly.Memory, shared. @returns the exported functions */
export const instantiate = (module: Module, memory: object): Record<string, unknown> =>
  new WebAssembly.Instance(module, { env: { memory } }).exports;
