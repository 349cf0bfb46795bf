import { encode, type Insn } from '../../src/index.ts';

const SHT = { PROGBITS: 1, SYMTAB: 2, STRTAB: 3 } as const;
const CODE_FLAGS = 6; // SHF_ALLOC | SHF_EXECINSTR

/** A BPF object of one program, as small as libbpf accepts it. */
export function writeElf(section: string, name: string, insns: readonly Insn[]): Uint8Array<ArrayBuffer> {
  const names = `\0${section}\0license\0.symtab\0.strtab\0${name}\0`;
  const nameAt = (text: string): number => names.indexOf(`\0${text}\0`) + 1;
  const code = encode(insns);
  const symbols = new Uint8Array(48);
  const symbol = new DataView(symbols.buffer);
  symbol.setUint32(24, nameAt(name), true);
  symbol.setUint8(28, 0x12); // global function
  symbol.setUint16(30, 1, true);
  symbol.setUint32(40, code.length, true);
  const sections = [
    { name: '', type: 0, flags: 0, bytes: new Uint8Array(0) },
    { name: section, type: SHT.PROGBITS, flags: CODE_FLAGS, bytes: code },
    { name: 'license', type: SHT.PROGBITS, flags: 2, bytes: new TextEncoder().encode('Apache-2.0\0') },
    { name: '.symtab', type: SHT.SYMTAB, flags: 0, bytes: symbols },
    { name: '.strtab', type: SHT.STRTAB, flags: 0, bytes: new TextEncoder().encode(names) },
  ];
  const offsets: number[] = [];
  let at = 64;
  for (const { bytes } of sections) {
    offsets.push(at);
    at += (bytes.length + 7) & ~7;
  }
  const file = new Uint8Array(at + 64 * sections.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  for (const [offset, value] of [
    [16, 1],
    [18, 247],
    [52, 64],
    [58, 64],
    [60, sections.length],
    [62, 4],
  ] as const) {
    view.setUint16(offset, value, true);
  }
  view.setUint32(20, 1, true);
  view.setUint32(40, at, true);
  for (const [i, { name: text, type, flags, bytes }] of sections.entries()) {
    file.set(bytes, offsets[i]!);
    const header = at + 64 * i;
    view.setUint32(header, text === '' ? 0 : nameAt(text), true);
    view.setUint32(header + 4, type, true);
    view.setUint32(header + 8, flags, true);
    view.setUint32(header + 24, offsets[i]!, true);
    view.setUint32(header + 32, bytes.length, true);
    if (type === SHT.SYMTAB) {
      view.setUint32(header + 40, 4, true);
      view.setUint32(header + 44, 1, true);
      view.setUint32(header + 56, 24, true);
    }
    view.setUint32(header + 48, 8, true);
  }
  return file;
}
