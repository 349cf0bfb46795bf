import { ByteReader } from '../elf/reader.ts';
import { badInput } from '../errors.ts';
import { INSN_BYTES } from '../insn/insn.ts';
import type { Btf } from './btf.ts';

/** Source: Documentation/bpf/btf.rst, section 4.2. */
const HEADER = { headerBytes: 4, lineAt: 16, lineBytes: 20, coreBytes: 28, sizeWithCore: 32 } as const;
const MIN_RECORD = 16;

export interface SourceLine {
  /** The instruction of the section from which on the line holds, in slots. */
  slot: number;
  file: string;
  line: number;
  column: number;
  /** The text of the line, if the compiler kept it. */
  text: string;
}

/** Source lines by section of code, in the order of their instructions. */
export type Lines = ReadonlyMap<string, readonly SourceLine[]>;

/**
 * Checks what must not be there, and puts off the rest: lines are most of an object, and only people read them.
 * @returns the lines; it throws as this does
 * @throws VmError BAD_INPUT
 */
export function readLines(bytes: Uint8Array, btf: Btf, name: string): () => Lines {
  const file = new ByteReader(bytes, `${name}: .BTF.ext`);
  if (file.u32(HEADER.headerBytes) >= HEADER.sizeWithCore && file.u32(HEADER.coreBytes) > 0) {
    throw badInput(`${name}: has CO-RE relocations, which are not modelled`);
  }
  let lines: Lines | undefined;
  return () => {
    lines ??= allLines(file, btf);
    return lines;
  };
}

function allLines(file: ByteReader, btf: Btf): Lines {
  const start = file.u32(HEADER.headerBytes) + file.u32(HEADER.lineAt);
  const end = start + file.u32(HEADER.lineBytes);
  const found = new Map<string, SourceLine[]>();
  if (end === start) return found;
  const recordBytes = file.u32(start);
  if (recordBytes < MIN_RECORD) throw badInput(`${file.what}: a line record is too short`, { bytes: recordBytes });
  for (let at = start + 4; at < end; ) {
    const section = btf.text(file.u32(at));
    const count = file.u32(at + 4);
    at += 8;
    const lines = found.get(section) ?? [];
    for (let i = 0; i < count; i++, at += recordBytes) {
      const place = file.u32(at + 12);
      if (place >>> 10 === 0) continue; // made by the compiler
      lines.push({
        slot: file.u32(at) / INSN_BYTES,
        file: btf.text(file.u32(at + 4)),
        text: btf.text(file.u32(at + 8)).trim(),
        line: place >>> 10,
        column: place & 0x3ff,
      });
    }
    found.set(section, lines);
  }
  return found;
}
