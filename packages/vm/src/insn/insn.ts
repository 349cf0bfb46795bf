/** One instruction. LDDW takes two slots; the second is a `Insn` with op 0 that no jump may reach. */
export interface Insn {
  op: number;
  dst: number;
  src: number;
  /** Signed. In slots, for jumps. */
  off: number;
  /** Signed. */
  imm: number;
  /** Of the whole LDDW, unsigned; 0 for others. */
  imm64: bigint;
}

export const INSN_BYTES = 8;

/** As in a file: the other way of `Code.decode`; the fixtures of tests and the property tests write programs so. */
export function encode(insns: readonly Insn[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(insns.length * INSN_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [slot, insn] of insns.entries()) {
    const at = slot * INSN_BYTES;
    view.setUint8(at, insn.op);
    view.setUint8(at + 1, insn.dst | (insn.src << 4));
    view.setInt16(at + 2, insn.off, true);
    view.setInt32(at + 4, insn.imm, true);
  }
  return bytes;
}
