import { HELPERS } from '../helpers/table.ts';
import { disassemble, type NameOf } from '../insn/disasm.ts';
import { CALL, LDDW, PSEUDO_CALL } from '../insn/opcodes.ts';
import type { FunctionDef } from './object.ts';

const TAIL_CALL = 12;

/** What the instructions of a function refer to, by name. */
export function namesOf(fn: FunctionDef): NameOf {
  return (insn, slot) => {
    const reference = fn.references.get(slot);
    if (reference?.kind === 'map') return `map ${reference.name}`;
    if (reference?.kind === 'data') return `${reference.section} + ${reference.offset}`;
    if (reference?.kind === 'function') return reference.name;
    if (insn.op !== CALL || insn.src !== PSEUDO_CALL.HELPER) return undefined;
    return insn.imm === TAIL_CALL ? `bpf_tail_call#${TAIL_CALL}` : helperName(insn.imm);
  };
}

const helperName = (id: number): string => {
  const helper = HELPERS.get(id);
  return helper === undefined ? `helper#${id}` : `bpf_${helper.name}#${id}`;
};

/** A function as text: each instruction, under the source line that it comes from. */
export function dumpFunction(fn: FunctionDef): string[] {
  const lines = [`${fn.name}: section ${fn.section}, ${fn.code.length} instructions`];
  const nameOf = namesOf(fn);
  const sources = new Map(fn.lines().map((line) => [line.slot, line]));
  let shown = '';
  for (let slot = 0; slot < fn.code.length; slot++) {
    const source = sources.get(slot);
    const text = source === undefined ? shown : `; ${source.file}:${source.line}: ${source.text}`;
    if (text !== shown) lines.push(text);
    shown = text;
    const insn = fn.code.at(slot);
    lines.push(`${String(slot).padStart(6)}: ${disassemble(insn, slot, nameOf)}`);
    if (insn.op === LDDW) slot++;
  }
  return lines;
}
