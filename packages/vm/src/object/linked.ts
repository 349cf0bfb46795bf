import type { Code } from '../insn/code.ts';
import type { FunctionDef } from './object.ts';

/** A function whose references are numbers: addresses of maps and data, indices of functions. */
export interface LinkedFunction {
  def: FunctionDef;
  /** In the table that prog arrays and function pointers name; from 1. */
  index: number;
  /** LDDW holds the number in `imm64`; a local CALL has the callee's index in `imm`. */
  code: Code;
}
