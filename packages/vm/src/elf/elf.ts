import { badInput } from '../errors.ts';
import { ByteReader } from './reader.ts';

/** Offsets in the ELF64 structures. Source: System V ABI, chapter 4. */
const HEADER = { class: 4, data: 5, type: 16, machine: 18, shoff: 40, shentsize: 58, shnum: 60, shstrndx: 62 } as const;
const SECTION = {
  size: 64,
  name: 0,
  type: 4,
  flags: 8,
  offset: 24,
  bytes: 32,
  link: 40,
  info: 44,
  entsize: 56,
} as const;
const SYMBOL = { size: 24, name: 0, info: 4, shndx: 6, value: 8, bytes: 16 } as const;
const RELOCATION = { size: 16, offset: 0, type: 8, symbol: 12 } as const;

const MAGIC = 0x464c_457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const EM_BPF = 247;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHT_REL = 9;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const SHN_LORESERVE = 0xff00;
const MAX_BSS = 64 * 1024 * 1024;

/** Source: Documentation/bpf/llvm_reloc.rst. */
export const R_BPF_64_64 = 1;
export const R_BPF_64_ABS64 = 2;
export const R_BPF_64_ABS32 = 3;
export const R_BPF_64_NODYLD32 = 4;
export const R_BPF_64_32 = 10;

export type SymbolKind = 'none' | 'object' | 'function' | 'section' | 'other';

export interface ElfSymbol {
  name: string;
  kind: SymbolKind;
  /** Index of its section; 0 if it is defined nowhere in the file. */
  section: number;
  /** Offset in its section, bytes. */
  value: number;
  size: number;
}

export interface Relocation {
  /** In the section that it is about, bytes. */
  offset: number;
  /** R_BPF_*. */
  type: number;
  symbol: ElfSymbol;
}

export interface Section {
  index: number;
  name: string;
  isCode: boolean;
  /** A copy of nothing: a part of the file; zeros for a section without bytes (.bss). */
  bytes: Uint8Array;
  /** Of a section that is loaded; those of debugging data, which are most, are nobody's business. */
  relocations: Relocation[];
}

export interface ElfFile {
  sections: Section[];
  symbols: ElfSymbol[];
}

const KINDS: readonly SymbolKind[] = ['none', 'object', 'function', 'section'];

/** Sections, symbols and relocations of a 64-bit little-endian BPF object. @throws VmError BAD_INPUT */
export function readElf(bytes: Uint8Array, name: string): ElfFile {
  const file = new ByteReader(bytes, name);
  if (bytes.length < 64 || file.u32(0) !== MAGIC) throw badInput(`${name}: not an ELF file`);
  if (file.u8(HEADER.class) !== CLASS_64 || file.u8(HEADER.data) !== LITTLE_ENDIAN) {
    throw badInput(`${name}: not a 64-bit little-endian file; build with --target=bpf or --target=bpfel`);
  }
  const machine = file.u16(HEADER.machine);
  if (machine !== EM_BPF) throw badInput(`${name}: not built for BPF`, { machine });
  const headers = sectionHeaders(file);
  const names = headers[file.u16(HEADER.shstrndx)];
  if (names === undefined) throw badInput(`${name}: has no section names`);
  const sections = headers.map((header, index): Section => {
    const nameAt = file.u32(header.at + SECTION.name);
    return {
      index,
      name: nameAt < names.size ? file.text(names.offset + nameAt) : '',
      isCode: (header.flags & SHF_EXECINSTR) !== 0,
      bytes: sectionBytes(file, header),
      relocations: [],
    };
  });
  const table = headers.find(({ type }) => type === SHT_SYMTAB);
  const symbols = table === undefined ? [] : readSymbols(file, table, headers, sections);
  for (const header of headers) {
    const target = sections[header.info];
    if (header.type === SHT_REL && target !== undefined && (headers[header.info]!.flags & SHF_ALLOC) !== 0) {
      target.relocations.push(...readRelocations(file, header, symbols, target.name));
    }
  }
  return { sections, symbols };
}

interface Header {
  at: number;
  type: number;
  flags: number;
  offset: number;
  size: number;
  link: number;
  info: number;
}

function sectionHeaders(file: ByteReader): Header[] {
  const from = file.u64(HEADER.shoff);
  const count = file.u16(HEADER.shnum);
  if (count === 0 || file.u16(HEADER.shentsize) !== SECTION.size) throw badInput(`${file.what}: has no sections`);
  return Array.from({ length: count }, (_, index) => {
    const at = from + index * SECTION.size;
    return {
      at,
      type: file.u32(at + SECTION.type),
      flags: file.u32(at + SECTION.flags),
      offset: file.u64(at + SECTION.offset),
      size: file.u64(at + SECTION.bytes),
      link: file.u32(at + SECTION.link),
      info: file.u32(at + SECTION.info),
    };
  });
}

function sectionBytes(file: ByteReader, header: Header): Uint8Array {
  if (header.type === 0) return new Uint8Array(0);
  if (header.type !== SHT_NOBITS) return file.slice(header.offset, header.size);
  if (header.size > MAX_BSS)
    throw badInput(`${file.what}: a section without bytes is too large`, { size: header.size });
  return new Uint8Array(header.size);
}

function readSymbols(file: ByteReader, table: Header, headers: Header[], sections: Section[]): ElfSymbol[] {
  const strings = headers[table.link];
  if (strings === undefined) throw badInput(`${file.what}: symbols without names`);
  return Array.from({ length: Math.floor(table.size / SYMBOL.size) }, (_, index) => {
    const at = table.offset + index * SYMBOL.size;
    const nameAt = file.u32(at + SYMBOL.name);
    const section = file.u16(at + SYMBOL.shndx);
    const kind = KINDS[file.u8(at + SYMBOL.info) & 15] ?? 'other';
    const isDefined = section < SHN_LORESERVE && section < sections.length;
    const name = nameAt !== 0 && nameAt < strings.size ? file.text(strings.offset + nameAt) : '';
    return {
      name: kind === 'section' && isDefined ? sections[section]!.name : name,
      kind,
      section: isDefined ? section : 0,
      value: file.u64(at + SYMBOL.value),
      size: file.u64(at + SYMBOL.bytes),
    };
  });
}

function readRelocations(file: ByteReader, header: Header, symbols: ElfSymbol[], about: string): Relocation[] {
  return Array.from({ length: Math.floor(header.size / RELOCATION.size) }, (_, index) => {
    const at = header.offset + index * RELOCATION.size;
    const number = file.u32(at + RELOCATION.symbol);
    const symbol = symbols[number];
    if (symbol === undefined) {
      throw badInput(`${file.what}: section ${about}: a relocation names a symbol that is not there`, {
        symbol: number,
      });
    }
    return { offset: file.u64(at + RELOCATION.offset), type: file.u32(at + RELOCATION.type), symbol };
  });
}
