import { Buffer } from 'node:buffer';
import type { Machine } from '../machine/machine.ts';
import { HELPERS_WASM } from './code.ts';

/** Node's types do not declare it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
};

let compiled: object | undefined;

/** The same as the helper in TypeScript; called with signed numbers. */
export type FastHelper = (...args: number[]) => number;

/** What the code leaves to TypeScript: helpers 2, 3 and 25. */
export interface SlowHelpers {
  update: FastHelper;
  delete: FastHelper;
  output: FastHelper;
}

/**
 * The hot helpers as WebAssembly (assembly/helpers.ts), by number: updates and deletes of hashes and arrays, bytes and
 * checksums of the packet, events. Their arguments are not checked.
 */
export function fastHelpers({ memory, state }: Machine, slow: SlowHelpers): ReadonlyMap<number, FastHelper> {
  compiled ??= new WebAssembly.Module(Buffer.from(HELPERS_WASM, 'base64'));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory: memory.wasm, state, ...slow } });
  const found = Object.entries(exports).flatMap(([name, run]): [number, FastHelper][] => {
    const id = /^helper_(\d+)$/.exec(name)?.[1];
    return id === undefined ? [] : [[Number(id), run as FastHelper]];
  });
  return new Map(found);
}

/** Those that write maps. */
export const WRITERS: readonly number[] = [2, 3];
