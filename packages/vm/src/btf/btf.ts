import { ByteReader } from '../elf/reader.ts';
import { badInput } from '../errors.ts';

/** Source: Documentation/bpf/btf.rst, section 2. */
const MAGIC = 0xeb9f;
const HEADER = { size: 24, headerBytes: 4, typeAt: 8, typeBytes: 12, textAt: 16, textBytes: 20 } as const;

export const BTF_KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

export interface BtfMember {
  name: string;
  type: number;
  /** Bits from the start; in a DATASEC, bytes. */
  offset: number;
  /** Only in a DATASEC; bytes. */
  size: number;
}

export interface BtfType {
  kind: number;
  name: string;
  /** Bytes, or the type that this one is about: which of them, the kind says. */
  sizeOrType: number;
  members: BtfMember[];
  /** Of an ARRAY. */
  array?: { type: number; count: number };
  /** Of a DECL_TAG: the member or parameter; -1 = the type itself. */
  component: number;
}

/** How many bytes follow each of `vlen` entries of a kind, or the type as a whole. */
const ENTRY_BYTES: Readonly<Record<number, number>> = {
  [BTF_KIND.STRUCT]: 12,
  [BTF_KIND.UNION]: 12,
  [BTF_KIND.ENUM]: 8,
  [BTF_KIND.FUNC_PROTO]: 8,
  [BTF_KIND.DATASEC]: 12,
  [BTF_KIND.ENUM64]: 12,
};
const TRAILING_BYTES: Readonly<Record<number, number>> = {
  [BTF_KIND.INT]: 4,
  [BTF_KIND.ARRAY]: 12,
  [BTF_KIND.VAR]: 4,
  [BTF_KIND.DECL_TAG]: 4,
};
const MAX_DEPTH = 32;

const VOID: BtfType = { kind: 0, name: 'void', sizeOrType: 0, members: [], component: -1 };

/** The types of an object, by number; 0 is void. Each is read when it is first asked for: of most, nobody asks. */
export class Btf {
  private readonly file: ByteReader;
  private readonly known = new Map<number, string>();
  private readonly stringsAt: number;
  private readonly stringBytes: number;
  /** Where each type begins; of void, nowhere. */
  private readonly places: number[] = [0];
  private readonly types: (BtfType | undefined)[] = [VOID];

  /** @throws VmError BAD_INPUT */
  constructor(bytes: Uint8Array, name: string) {
    const file = new ByteReader(bytes, `${name}: .BTF`);
    if (file.u16(0) !== MAGIC) throw badInput(`${file.what}: no BTF`);
    const start = file.u32(HEADER.headerBytes);
    this.file = file;
    this.stringsAt = start + file.u32(HEADER.textAt);
    this.stringBytes = file.u32(HEADER.textBytes);
    const from = start + file.u32(HEADER.typeAt);
    const to = from + file.u32(HEADER.typeBytes);
    for (let at = from; at < to; ) {
      const kind = this.kindAt(at);
      if (kind === 0 || kind > BTF_KIND.ENUM64)
        throw badInput(`${file.what}: a type of unknown kind`, { type: this.places.length, kind });
      this.places.push(at);
      at += 12 + this.countAt(at) * (ENTRY_BYTES[kind] ?? 0) + (TRAILING_BYTES[kind] ?? 0);
    }
  }

  private kindAt(at: number): number {
    return (this.file.u32(at + 4) >>> 24) & 31;
  }

  private countAt(at: number): number {
    return this.file.u32(at + 4) & 0xffff;
  }

  private readType(at: number): BtfType {
    const { file } = this;
    const kind = this.kindAt(at);
    const count = this.countAt(at);
    const body = at + 12;
    const type: BtfType = {
      kind,
      name: this.text(file.u32(at)),
      sizeOrType: file.u32(at + 8),
      members: [],
      component: -1,
    };
    if (kind === BTF_KIND.STRUCT || kind === BTF_KIND.UNION || kind === BTF_KIND.DATASEC) {
      const hasBitfields = kind !== BTF_KIND.DATASEC && file.u32(at + 4) >>> 31 === 1;
      for (let i = 0; i < count; i++) {
        const [first, second, third] = [0, 4, 8].map((o) => file.u32(body + i * 12 + o)) as [number, number, number];
        if (kind === BTF_KIND.DATASEC) type.members.push({ name: '', type: first, offset: second, size: third });
        else
          type.members.push({
            name: this.text(first),
            type: second,
            offset: hasBitfields ? third & 0xff_ffff : third,
            size: 0,
          });
      }
    }
    if (kind === BTF_KIND.ARRAY) type.array = { type: file.u32(body), count: file.u32(body + 8) };
    if (kind === BTF_KIND.DECL_TAG) type.component = file.i32(body);
    return type;
  }

  /** A string of the string section. */
  text(offset: number): string {
    if (offset >= this.stringBytes) throw badInput(`${this.file.what}: a name outside of the names`, { offset });
    // Lines of one function name the same file again and again.
    let text = this.known.get(offset);
    if (text === undefined) {
      text = this.file.text(this.stringsAt + offset);
      this.known.set(offset, text);
    }
    return text;
  }

  /** @throws VmError BAD_INPUT */
  type(id: number): BtfType {
    const known = this.types[id];
    if (known !== undefined) return known;
    const at = this.places[id];
    if (at === undefined) throw badInput(`${this.file.what}: a type that is not there`, { type: id });
    const type = this.readType(at);
    this.types[id] = type;
    return type;
  }

  /** All of a kind, in the order of their numbers. */
  ofKind(kind: number): BtfType[] {
    return this.places.flatMap((at, id) => (id > 0 && this.kindAt(at) === kind ? [this.type(id)] : []));
  }

  /** The type behind typedef, const, volatile, restrict and type tags. */
  resolve(id: number): BtfType {
    let type = this.type(id);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const isModifier = [
        BTF_KIND.TYPEDEF,
        BTF_KIND.VOLATILE,
        BTF_KIND.CONST,
        BTF_KIND.RESTRICT,
        BTF_KIND.TYPE_TAG,
      ].some((kind) => kind === type.kind);
      if (!isModifier) return type;
      type = this.type(type.sizeOrType);
    }
    throw badInput(`${this.file.what}: a type that is named after itself`, { type: id });
  }

  /** Bytes. */
  sizeOf(id: number, depth = 0): number {
    const type = this.resolve(id);
    if (type.kind === BTF_KIND.PTR) return 8;
    if (type.kind !== BTF_KIND.ARRAY) return type.sizeOrType;
    if (depth > MAX_DEPTH) throw badInput(`${this.file.what}: an array of itself`, { type: id });
    return this.sizeOf(type.array!.type, depth + 1) * type.array!.count;
  }

  /** Tags (`__attribute__((btf_decl_tag("...")))`) of functions, by the function's name. */
  functionTags(): Map<string, string[]> {
    const tags = new Map<string, string[]>();
    for (const { name, sizeOrType, component } of this.ofKind(BTF_KIND.DECL_TAG)) {
      if (component !== -1) continue;
      const target = this.type(sizeOrType);
      if (target.kind === BTF_KIND.FUNC) tags.set(target.name, [...(tags.get(target.name) ?? []), name]);
    }
    return tags;
  }
}
