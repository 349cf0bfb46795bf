import { CodeWriter, OP, TYPE } from './wasm.ts';

export interface Signature {
  params: readonly number[];
  results: readonly number[];
}

export interface ModuleFunction {
  signature: Signature;
  /** Beside the parameters, in this order. */
  i32Locals: number;
  i64Locals: number;
  v128Locals?: number;
  code: CodeWriter;
  exportedAs?: string;
}

/** Bytes that most of the small parts of a module take at most. */
const PART = 32;
/** 2 GiB, as `Memory` has at most. */
const MAX_PAGES = 32_768;

/**
 * A module under construction, on the shared memory `env.memory` and, if it has one, the table `env.table`. Imported functions come first
 * in the index space: declare them all before the first function is added.
 */
export class ModuleBuilder {
  private readonly types: Signature[] = [];
  private readonly imports: { name: string; type: number }[] = [];
  private readonly functions: ModuleFunction[] = [];
  private readonly importedGlobals: { name: string; isMutable: boolean }[] = [];
  private readonly globals: (string | undefined)[] = [];
  private readonly hasTable: boolean;
  private readonly elements: { at: number; functions: number[] }[] = [];

  constructor({ hasTable }: { hasTable: boolean }) {
    this.hasTable = hasTable;
  }

  type(signature: Signature): number {
    const known = this.types.findIndex((t) => same(t.params, signature.params) && same(t.results, signature.results));
    return known >= 0 ? known : this.types.push(signature) - 1;
  }

  /** @returns the function's index */
  importFunction(name: string, signature: Signature): number {
    return this.imports.push({ name, type: this.type(signature) }) - 1;
  }

  /** An i32 that the instance is given. @returns the global's index */
  importGlobal(name: string, { isMutable = false } = {}): number {
    return this.importedGlobals.push({ name, isMutable }) - 1;
  }

  /** An i32 of the instance, at first 0. Declare after all imported globals. @returns the global's index */
  addGlobal(exportedAs?: string): number {
    return this.importedGlobals.length + this.globals.push(exportedAs) - 1;
  }

  /** @returns the function's index */
  addFunction(fn: ModuleFunction): number {
    this.type(fn.signature);
    return this.imports.length + this.functions.push(fn) - 1;
  }

  /** The index that the function will have which is added as the `nth`, from 0. */
  indexOf(nth: number): number {
    return this.imports.length + nth;
  }

  /** Puts functions into the table, from slot `at` on. */
  addElements(at: number, functions: number[]): void {
    this.elements.push({ at, functions });
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const out = new CodeWriter().u8(0x00, 0x61, 0x73, 0x6d).u8(0x01, 0x00, 0x00, 0x00);
    const section = (id: number, parts: readonly CodeWriter[]): void => {
      if (parts.length === 0) return;
      const body = new CodeWriter().unsigned(parts.length);
      for (const part of parts) body.append(part.bytes);
      out.u8(id).sized(body.bytes);
    };
    const part = (): CodeWriter => new CodeWriter(PART);
    section(
      1,
      this.types.map(({ params, results }) =>
        part().u8(TYPE.func).sized(Uint8Array.from(params)).sized(Uint8Array.from(results)),
      ),
    );
    section(2, [
      part().text('env').text('memory').u8(0x02, 0x03).unsigned(1).unsigned(MAX_PAGES),
      ...(this.hasTable ? [part().text('env').text('table').u8(0x01, TYPE.funcref, 0x00).unsigned(1)] : []),
      ...this.importedGlobals.map(({ name, isMutable }) =>
        part()
          .text('env')
          .text(name)
          .u8(0x03, TYPE.i32, isMutable ? 0x01 : 0x00),
      ),
      ...this.imports.map(({ name, type }) => part().text('env').text(name).u8(0x00).unsigned(type)),
    ]);
    section(
      3,
      this.functions.map(({ signature }) => part().unsigned(this.type(signature))),
    );
    section(
      6,
      this.globals.map(() => part().u8(TYPE.i32, 0x01).i32(0).u8(OP.end)),
    );
    const exported = (kind: number, name: string | undefined, index: number): CodeWriter[] =>
      name === undefined ? [] : [part().text(name).u8(kind).unsigned(index)];
    section(7, [
      ...this.functions.flatMap(({ exportedAs }, i) => exported(0x00, exportedAs, this.indexOf(i))),
      ...this.globals.flatMap((name, i) => exported(0x03, name, this.importedGlobals.length + i)),
    ]);
    section(
      9,
      this.elements.map(({ at, functions }) => {
        const element = part().u8(0x00).i32(at).u8(OP.end).unsigned(functions.length);
        for (const index of functions) element.unsigned(index);
        return element;
      }),
    );
    section(
      10,
      this.functions.map((fn) => {
        const locals = part().unsigned(3).unsigned(fn.i32Locals).u8(TYPE.i32).unsigned(fn.i64Locals).u8(TYPE.i64);
        locals.unsigned(fn.v128Locals ?? 0).u8(TYPE.v128);
        const code = fn.code.bytes;
        const body = new CodeWriter(code.length + PART).unsigned(locals.bytes.length + code.length + 1);
        return body.append(locals.bytes).append(code).u8(OP.end);
      }),
    );
    return out.bytes;
  }
}

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);
