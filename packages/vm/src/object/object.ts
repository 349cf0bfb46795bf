import type { SourceLine } from '../btf/lines.ts';
import type { Insn } from '../insn/insn.ts';

/** What the operand of an instruction stands for, until the object is linked. */
export type Reference =
  | { kind: 'map'; name: string }
  | { kind: 'data'; section: string; offset: number }
  | { kind: 'function'; name: string };

/** A map as the object declares it. */
export interface MapDef {
  name: string;
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  /** How the maps inside look, if it is a map of maps. */
  inner?: MapDef;
  /** What the object puts into it: names of programs or maps. */
  values: { index: number; target: string }[];
}

/** A section of global variables: an array map of one element. */
export interface DataSection {
  name: string;
  bytes: Uint8Array;
  isReadOnly: boolean;
}

export interface FunctionDef {
  name: string;
  section: string;
  insns: Insn[];
  /** By slot: of LDDW and CALL. */
  references: Map<number, Reference>;
  /** Ordered; slots count from the function's start. */
  lines: SourceLine[];
  /** Tags of its declaration, such as `tail:cilium_calls/6`. */
  tags: string[];
}

export type ProgramType = 'tc' | 'xdp' | 'other';

/** What an ELF file says, before maps exist. */
export interface BpfObject {
  name: string;
  maps: Map<string, MapDef>;
  data: Map<string, DataSection>;
  functions: Map<string, FunctionDef>;
}

/** What a section's name says about the programs in it. */
export function programType(section: string): ProgramType {
  if (/^(tc|classifier|action)\b/.test(section)) return 'tc';
  return /^xdp\b/.test(section) ? 'xdp' : 'other';
}

/** Functions in .text are called, never run by themselves. */
export const isProgram = (fn: FunctionDef): boolean => fn.section !== '.text';

/** The source line of an instruction. */
export function lineAt(fn: FunctionDef, slot: number): SourceLine | undefined {
  return fn.lines.findLast((line) => line.slot <= slot);
}
