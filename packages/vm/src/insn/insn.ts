import { badInput } from '../errors.ts';
import { LDDW } from './opcodes.ts';

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

/** @param where for messages. @throws VmError BAD_INPUT if the bytes are no whole instructions */
export function decode(bytes: Uint8Array, where: string): Insn[] {
  if (bytes.length % INSN_BYTES !== 0)
    throw badInput(`${where}: not a whole number of instructions`, { bytes: bytes.length });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const insns: Insn[] = [];
  for (let at = 0; at < bytes.length; at += INSN_BYTES) {
    const registers = view.getUint8(at + 1);
    insns.push({
      op: view.getUint8(at),
      dst: registers & 15,
      src: registers >> 4,
      off: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
      imm64: 0n,
    });
  }
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    if (insn.op !== LDDW) continue;
    const second = insns[++slot];
    if (second === undefined || second.op !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0) {
      throw badInput(`${where}: a 64-bit constant has no second half`, { instruction: slot - 1 });
    }
    insn.imm64 = (BigInt(second.imm >>> 0) << 32n) | BigInt(insn.imm >>> 0);
  }
  return insns;
}

/** The other way; the fixtures of tests and the property tests write programs so. */
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
