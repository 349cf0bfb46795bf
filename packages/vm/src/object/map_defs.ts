import { BTF_KIND, type Btf, type BtfType } from '../btf/btf.ts';
import { type ElfFile, R_BPF_64_ABS64, type Section } from '../elf/elf.ts';
import { badInput } from '../errors.ts';
import type { MapDef } from './object.ts';

const MAPS_SECTION = '.maps';
const POINTER_BYTES = 8;

/** A map variable and where it lies in `.maps`. */
export interface PlacedMap {
  def: MapDef;
  offset: number;
  size: number;
  /** Of the member `values`, from the variable's start. */
  valuesAt: number;
}

/**
 * The maps of an object in the order of `.maps`, with what its initialisers put into them.
 * The form is libbpf's: `__uint` is an array's length behind a pointer, `__type` a pointer's target.
 * @throws VmError BAD_INPUT
 */
export function readMapDefs(elf: ElfFile, btf: Btf | undefined, name: string): PlacedMap[] {
  const section = elf.sections.find((s) => s.name === MAPS_SECTION);
  if (section === undefined || section.bytes.length === 0) return [];
  const datasec = btf?.ofKind(BTF_KIND.DATASEC).find((t) => t.name === MAPS_SECTION);
  if (btf === undefined || datasec === undefined) throw badInput(`${name}: maps without BTF; build with -g`);
  const maps = datasec.members.map(({ type, offset: declared, size }): PlacedMap => {
    const variable = btf.type(type);
    // clang leaves the offsets of a DATASEC empty: the symbol knows.
    const symbol = elf.symbols.find(
      (s) => s.section === section.index && s.name === variable.name && s.kind === 'object',
    );
    const struct = btf.resolve(variable.sizeOrType);
    const values = struct.members.find((m) => m.name === 'values');
    return {
      def: readMap(btf, struct, variable.name, name),
      offset: symbol?.value ?? declared,
      size: symbol?.size ?? size,
      valuesAt: values === undefined ? 0 : values.offset / 8,
    };
  });
  addValues(section, maps, name);
  return maps;
}

function readMap(btf: Btf, struct: BtfType, name: string, file: string, depth = 0): MapDef {
  if (struct.kind !== BTF_KIND.STRUCT) throw badInput(`${file}: map ${name} is no structure`);
  const def: MapDef = { name, type: 0, keySize: 0, valueSize: 0, maxEntries: 0, flags: 0, values: [] };
  const target = (type: number): number => {
    const pointer = btf.resolve(type);
    if (pointer.kind !== BTF_KIND.PTR) throw badInput(`${file}: map ${name}: a member is no pointer`);
    return pointer.sizeOrType;
  };
  const number = (type: number): number => {
    const { array } = btf.resolve(target(type));
    if (array === undefined) throw badInput(`${file}: map ${name}: a member is no number`);
    return array.count;
  };
  for (const { name: member, type } of struct.members) {
    if (member === 'type') def.type = number(type);
    else if (member === 'max_entries') def.maxEntries = number(type);
    else if (member === 'map_flags') def.flags = number(type);
    else if (member === 'key_size') def.keySize = number(type);
    else if (member === 'value_size') def.valueSize = number(type);
    else if (member === 'key') def.keySize = btf.sizeOf(target(type));
    else if (member === 'value') def.valueSize = btf.sizeOf(target(type));
    else if (member === 'values') {
      const element = btf.resolve(type).array?.type;
      const pointed = element === undefined ? undefined : btf.resolve(target(element));
      if (pointed?.kind === BTF_KIND.STRUCT && depth === 0) def.inner = readMap(btf, pointed, `${name}.inner`, file, 1);
    }
  }
  return def;
}

function addValues(section: Section, maps: PlacedMap[], file: string): void {
  for (const { offset, type, symbol } of section.relocations) {
    const map = maps.find((m) => offset >= m.offset && offset < m.offset + m.size);
    if (type !== R_BPF_64_ABS64 || map === undefined || map.valuesAt === 0) {
      throw badInput(`${file}: .maps: an initialiser that is no value of a map`, { offset });
    }
    map.def.values.push({ index: (offset - map.offset - map.valuesAt) / POINTER_BYTES, target: symbol.name });
  }
}
