import type { SourceLine } from '../btf/lines.ts';
import { badInput } from '../errors.ts';
import type { Code } from '../insn/code.ts';

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

/** A global variable. */
export interface Variable {
  section: string;
  /** In its section, bytes. */
  at: number;
  size: number;
}

export interface FunctionDef {
  name: string;
  section: string;
  code: Code;
  /** By slot: of LDDW and CALL. */
  references: Map<number, Reference>;
  /** Ordered; slots count from the function's start. Read when first asked for. @throws VmError BAD_INPUT */
  lines: () => readonly SourceLine[];
  /** Tags of its declaration, such as `tail:cilium_calls/6`. */
  tags: string[];
}

export type ProgramType = 'tc' | 'xdp' | 'other';

/** What an ELF file says, before maps exist. */
export interface BpfObject {
  name: string;
  maps: Map<string, MapDef>;
  data: Map<string, DataSection>;
  /** Global variables by name; static ones of two functions may share one, of which the last counts. */
  variables: Map<string, Variable>;
  functions: Map<string, FunctionDef>;
}

/**
 * The object with other values in some of its variables, as a loader sets them before it loads (`.rodata.config` of Cilium).
 * @param values whole or the first bytes of each; the rest is 0
 * @throws VmError BAD_INPUT
 */
export function withVariables(object: BpfObject, values: ReadonlyMap<string, Uint8Array>): BpfObject {
  const data = new Map(
    [...object.data].map(([name, section]) => [name, { ...section, bytes: Uint8Array.from(section.bytes) }]),
  );
  for (const [name, bytes] of values) {
    const variable = object.variables.get(name);
    const section = variable === undefined ? undefined : data.get(variable.section);
    if (variable === undefined || section === undefined) throw badInput(`${object.name}: no variable ${name}`);
    if (bytes.length > variable.size)
      throw badInput(`${object.name}: variable ${name} has ${variable.size} bytes, not ${bytes.length}`);
    section.bytes.fill(0, variable.at, variable.at + variable.size).set(bytes, variable.at);
  }
  return { ...object, data };
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
  return fn.lines().findLast((line) => line.slot <= slot);
}
