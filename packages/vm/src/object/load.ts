import { Btf } from '../btf/btf.ts';
import { type Lines, readLines, type SourceLine } from '../btf/lines.ts';
import {
  type ElfFile,
  type ElfSymbol,
  R_BPF_64_32,
  R_BPF_64_64,
  type Relocation,
  readElf,
  type Section,
} from '../elf/elf.ts';
import { badInput } from '../errors.ts';
import { blankInsn, Code } from '../insn/code.ts';
import { INSN_BYTES, type Insn } from '../insn/insn.ts';
import { CALL, LDDW, PSEUDO_CALL } from '../insn/opcodes.ts';
import { validate } from '../insn/validate.ts';
import { type PlacedMap, readMapDefs } from './map_defs.ts';
import type { BpfObject, DataSection, FunctionDef, Reference, Variable } from './object.ts';

const DATA = /^\.(data|bss|rodata)(\.|$)/;

/**
 * Reads an object file as clang builds it with `--target=bpf -O2 -g`: functions, maps, global variables, and what refers
 * to what. Nothing is created yet: see `link`.
 * @param name for messages
 * @throws VmError BAD_INPUT
 */
export function loadObject(bytes: Uint8Array, name: string): BpfObject {
  const elf = readElf(bytes, name);
  const section = (wanted: string): Uint8Array | undefined => elf.sections.find((s) => s.name === wanted)?.bytes;
  const btfBytes = section('.BTF');
  const extBytes = section('.BTF.ext');
  const btf = btfBytes === undefined ? undefined : new Btf(btfBytes, name);
  const lines = btf === undefined || extBytes === undefined ? (): Lines => new Map() : readLines(extBytes, btf, name);
  const maps = readMapDefs(elf, btf, name);
  const data = new Map<string, DataSection>();
  for (const s of elf.sections) {
    if (!DATA.test(s.name) || s.bytes.length === 0) continue;
    if (s.relocations.length > 0) throw badInput(`${name}: section ${s.name} holds pointers, which is not modelled`);
    data.set(s.name, { name: s.name, bytes: s.bytes, isReadOnly: s.name.startsWith('.rodata') });
  }
  const variables = new Map<string, Variable>();
  for (const { name: variable, kind, section: index, value, size } of elf.symbols) {
    const of = data.get(elf.sections[index]?.name ?? '');
    if (kind === 'object' && of !== undefined && value + size <= of.bytes.length)
      variables.set(variable, { section: of.name, at: value, size });
  }
  const places = functionPlaces(elf, name);
  const tags = btf?.functionTags() ?? new Map<string, string[]>();
  const functions = new Map<string, FunctionDef>();
  const context: Context = { elf, name, maps, data, places, lines, tags, sorted: new Map() };
  for (const place of places) {
    if (functions.has(place.name)) throw badInput(`${name}: two functions are called ${place.name}`);
    functions.set(place.name, readFunction(place, context));
  }
  return { name, maps: new Map(maps.map(({ def }) => [def.name, def])), data, variables, functions };
}

interface Place {
  name: string;
  section: Section;
  /** In the section, bytes. */
  from: number;
  size: number;
}

interface Context {
  elf: ElfFile;
  name: string;
  maps: PlacedMap[];
  data: Map<string, DataSection>;
  places: Place[];
  lines: () => Lines;
  /** Relocations by section, ordered. */
  sorted: Map<number, Relocation[]>;
  tags: Map<string, string[]>;
}

function functionPlaces(elf: ElfFile, name: string): Place[] {
  const places: Place[] = [];
  for (const symbol of elf.symbols) {
    const section = elf.sections[symbol.section];
    if (symbol.kind !== 'function' || section === undefined || !section.isCode) continue;
    if (symbol.value % INSN_BYTES !== 0 || symbol.value + symbol.size > section.bytes.length) {
      throw badInput(`${name}: function ${symbol.name} lies outside of its section ${section.name}`);
    }
    places.push({ name: symbol.name, section, from: symbol.value, size: symbol.size });
  }
  return places;
}

function readFunction(place: Place, context: Context): FunctionDef {
  const { section, from, size } = place;
  const where = `${context.name}: ${place.name}`;
  const code = Code.decode(section.bytes.subarray(from, from + size), where);
  validate(code, where);
  const references = new Map<number, Reference>();
  for (const relocation of relocationsOf(context, section, from, from + size)) {
    const slot = (relocation.offset - from) / INSN_BYTES;
    if (!Number.isInteger(slot) || slot >= code.length)
      throw badInput(`${where}: a relocation between instructions`, { offset: relocation.offset });
    references.set(slot, resolve(relocation, code.at(slot), slot, where, context));
  }
  const insn = blankInsn();
  for (let slot = 0; slot < code.length; slot++) {
    if (code.op(slot) !== CALL) continue;
    code.read(slot, insn);
    if (insn.src !== PSEUDO_CALL.LOCAL || references.has(slot)) continue;
    const target = from + (slot + 1 + insn.imm) * INSN_BYTES;
    references.set(slot, { kind: 'function', name: functionAt(context.places, section.index, target, where, slot) });
  }
  const first = from / INSN_BYTES;
  let lines: SourceLine[] | undefined;
  return {
    name: place.name,
    section: section.name,
    code,
    references,
    lines() {
      lines ??= (context.lines().get(section.name) ?? [])
        .filter(({ slot }) => slot >= first && slot < first + code.length)
        .map((line) => ({ ...line, slot: line.slot - first }));
      return lines;
    },
    tags: context.tags.get(place.name) ?? [],
  };
}

/** Those of a part of a section, by offset. A section has many functions: its relocations are put in order once. */
function relocationsOf({ sorted }: Context, section: Section, from: number, to: number): Relocation[] {
  let all = sorted.get(section.index);
  if (all === undefined) {
    all = section.relocations.toSorted((a, b) => a.offset - b.offset);
    sorted.set(section.index, all);
  }
  let [first, end] = [0, all.length];
  while (first < end) {
    const middle = (first + end) >> 1;
    if (all[middle]!.offset < from) first = middle + 1;
    else end = middle;
  }
  let last = first;
  while (last < all.length && all[last]!.offset < to) last++;
  return all.slice(first, last);
}

function resolve(relocation: Relocation, insn: Insn, slot: number, where: string, context: Context): Reference {
  const { symbol, type } = relocation;
  const section = context.elf.sections[symbol.section];
  if (symbol.section === 0 || section === undefined) {
    throw badInput(`${where}: instruction ${slot}: ${symbol.name} is not defined in this file`);
  }
  if (type === R_BPF_64_32 && insn.op === CALL) {
    const target = symbol.kind === 'section' ? (insn.imm + 1) * INSN_BYTES : symbol.value;
    return { kind: 'function', name: functionAt(context.places, section.index, target, where, slot) };
  }
  if (type !== R_BPF_64_64 || insn.op !== LDDW) {
    throw badInput(`${where}: instruction ${slot}: a relocation that does not fit`, { type });
  }
  return resolveConstant(symbol, section, insn.imm, slot, where, context);
}

function resolveConstant(
  symbol: ElfSymbol,
  section: Section,
  addend: number,
  slot: number,
  where: string,
  context: Context,
): Reference {
  const at = symbol.value + addend;
  if (section.name === '.maps') {
    const map = context.maps.find(({ offset }) => offset === at);
    if (map === undefined)
      throw badInput(`${where}: instruction ${slot}: no map at this place of .maps`, { offset: at });
    return { kind: 'map', name: map.def.name };
  }
  if (section.isCode) return { kind: 'function', name: functionAt(context.places, section.index, at, where, slot) };
  const data = context.data.get(section.name);
  if (data === undefined)
    throw badInput(`${where}: instruction ${slot}: refers to section ${section.name}, which holds no data`);
  if (at < 0 || at > data.bytes.length) {
    throw badInput(`${where}: instruction ${slot}: refers to a place outside of section ${section.name}`, {
      offset: at,
    });
  }
  return { kind: 'data', section: section.name, offset: at };
}

function functionAt(places: readonly Place[], section: number, at: number, where: string, slot: number): string {
  const place = places.find((p) => p.section.index === section && p.from === at);
  if (place === undefined)
    throw badInput(`${where}: instruction ${slot}: calls a place where no function starts`, { offset: at });
  return place.name;
}
