import { badInput } from '../errors.ts';
import { INSN_BYTES, type Insn } from './insn.ts';
import { CALL, LDDW, PSEUDO_CALL } from './opcodes.ts';

/** For `Code.read`. */
export const blankInsn = (): Insn => ({ op: 0, dst: 0, src: 0, off: 0, imm: 0, imm64: 0n });

/**
 * The instructions of a function as they lie in a file, two words each. An object has tens of thousands of them: as objects of
 * their own they would cost more than their translation, so that only who stays with a function makes these (`all`).
 */
export class Code {
  /** Slots: a 64-bit constant (LDDW) takes two. */
  readonly length: number;
  private readonly words: Int32Array<ArrayBuffer>;
  private list: readonly Insn[] | undefined;

  /** @param where for messages. @throws VmError BAD_INPUT if the bytes are no whole instructions */
  static decode(bytes: Uint8Array, where: string): Code {
    if (bytes.length % INSN_BYTES !== 0)
      throw badInput(`${where}: not a whole number of instructions`, { bytes: bytes.length });
    // A copy: in a file they need not lie on a word.
    const code = new Code(new Int32Array(new Uint8Array(bytes).buffer));
    for (let slot = 0; slot < code.length; slot++) {
      if (code.op(slot) !== LDDW) continue;
      if (++slot === code.length || code.words[2 * slot] !== 0)
        throw badInput(`${where}: a 64-bit constant has no second half`, { instruction: slot - 1 });
    }
    return code;
  }

  private constructor(words: Int32Array<ArrayBuffer>) {
    this.words = words;
    this.length = words.length / 2;
  }

  op(slot: number): number {
    return this.words[2 * slot]! & 0xff;
  }

  /** @param into where to write it: who walks through all of them needs a single one. @returns `into` */
  read(slot: number, into: Insn): Insn {
    const word = this.words[2 * slot]!;
    into.op = word & 0xff;
    into.dst = (word >> 8) & 15;
    into.src = (word >> 12) & 15;
    into.off = word >> 16;
    into.imm = this.words[2 * slot + 1]!;
    into.imm64 = into.op === LDDW ? this.constant(slot) : 0n;
    return into;
  }

  at(slot: number): Insn {
    return this.read(slot, blankInsn());
  }

  /** All of them, by slot; made when they are first asked for. */
  get all(): readonly Insn[] {
    this.list ??= Array.from({ length: this.length }, (_, slot) => this.at(slot));
    return this.list;
  }

  /** Numbers of the helpers that it calls. */
  helpers(): Set<number> {
    const ids = new Set<number>();
    const insn = blankInsn();
    for (let slot = 0; slot < this.length; slot++) {
      if (this.op(slot) === CALL && this.read(slot, insn).src === PSEUDO_CALL.HELPER) ids.add(insn.imm);
    }
    return ids;
  }

  /** The same with numbers in the place of references: what a CALL calls, what an LDDW loads. */
  withNumbers(numbers: ReadonlyMap<number, number>): Code {
    const words = this.words.slice();
    for (const [slot, number] of numbers) {
      words[2 * slot + 1] = number;
      if (this.op(slot) === LDDW) words[2 * slot + 3] = 0;
    }
    return new Code(words);
  }

  private constant(slot: number): bigint {
    const [low, high] = [this.words[2 * slot + 1]!, this.words[2 * slot + 3]!];
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  }
}
