import { type Address, ProgArrayMap } from '@ciliate/maps';
import { fault, VmError } from '../errors.ts';
import { checkArguments, type Helper, type HelperTable } from '../helpers/helper.ts';
import type { Insn } from '../insn/insn.ts';
import { CALL, CLASS, EXIT, LDDW, PSEUDO_CALL } from '../insn/opcodes.ts';
import { isUnconditional, jumpTarget } from '../insn/validate.ts';
import { FRAME_BYTES, MAX_TAIL_CALLS, type Machine } from '../machine/machine.ts';
import { Registers } from '../machine/registers.ts';
import type { LinkedFunction } from '../object/linked.ts';
import { alu32, alu64 } from './alu.ts';
import { isTaken } from './jump.ts';
import { load, store } from './memory_access.ts';

const TAIL_CALL = 12;
const MAX_DEPTH = 8;

/** Called before each instruction; what it throws ends the run. */
export type Observer = (fn: LinkedFunction, slot: number, registers: Registers, depth: number) => void;

/**
 * Runs programs instruction by instruction, every access to memory checked. The meaning of programs is defined here, for
 * reading; `translate` makes the same of them for speed.
 */
export class Interpreter {
  readonly registers = new Registers();
  observer: Observer | undefined;
  private readonly machine: Machine;
  private readonly functions: readonly (LinkedFunction | undefined)[];
  private readonly helpers: HelperTable;
  private budget = 0;
  private depth = 0;
  private readonly args: number[] = [];
  /** Where the program is, for messages. */
  private current: LinkedFunction | undefined;
  private slot = 0;

  /** @param functions by index; programs that prog arrays name are among them */
  constructor(machine: Machine, functions: readonly (LinkedFunction | undefined)[], helpers: HelperTable) {
    this.machine = machine;
    this.functions = functions;
    this.helpers = helpers;
  }

  /**
   * Runs a program on the machine's context.
   * @param budget how many instructions it may take
   * @returns r0's low half
   * @throws VmError FAULT, with function and instruction
   */
  run(fn: LinkedFunction, budget: number): number {
    this.registers.u64.fill(0n);
    this.registers.u64[1] = BigInt(this.machine.context);
    this.budget = budget;
    this.depth = 0;
    this.machine.callFunction = (index, a, b, c, d) => this.callback(index, a, b, c, d);
    try {
      this.execute(fn, this.machine.stack);
    } catch (error) {
      throw this.located(error);
    }
    return this.registers.u32[0]!;
  }

  /** From the first instruction to the exit of its frame, through tail calls. */
  private execute(start: LinkedFunction, frame: Address): void {
    const r = this.registers;
    let fn = start;
    let insns = fn.code.all;
    let slot = 0;
    this.current = fn;
    r.u64[10] = BigInt(frame + FRAME_BYTES);
    for (;;) {
      const insn = insns[slot]!;
      this.slot = slot;
      if (--this.budget < 0) throw fault('ran for too many instructions');
      this.observer?.(fn, slot, r, this.depth);
      switch (insn.op & 7) {
        case CLASS.ALU64:
          alu64(r, insn);
          slot++;
          break;
        case CLASS.ALU:
          alu32(r, insn);
          slot++;
          break;
        case CLASS.LDX:
          load(this.machine, r, insn);
          slot++;
          break;
        case CLASS.ST:
        case CLASS.STX:
          store(this.machine, r, insn);
          slot++;
          break;
        case CLASS.LD:
          r.u64[insn.dst] = insn.imm64;
          slot += insn.op === LDDW ? 2 : 1;
          break;
        default:
          if (insn.op === EXIT) return;
          if (insn.op !== CALL) {
            slot = isUnconditional(insn) || isTaken(r, insn) ? jumpTarget(insn, slot)! : slot + 1;
            break;
          }
          if (insn.src === PSEUDO_CALL.LOCAL) this.callLocal(this.functions[insn.imm]!, frame);
          else if (insn.imm === TAIL_CALL) {
            const target = this.tailCall();
            if (target !== undefined) {
              fn = target;
              insns = fn.code.all;
              slot = -1;
              r.u64[10] = BigInt(frame + FRAME_BYTES);
            }
          } else this.callHelper(insn, frame);
          this.current = fn;
          slot++;
      }
    }
  }

  private callLocal(fn: LinkedFunction, frame: Address): void {
    if (++this.depth >= MAX_DEPTH * (MAX_TAIL_CALLS + 1)) throw fault('calls nest too deeply');
    const saved = this.registers.u64.slice(6);
    this.execute(fn, frame + FRAME_BYTES);
    this.registers.u64.set(saved, 6);
    this.depth--;
  }

  /** The program to go on with, or undefined: then the call has failed, and the program goes on behind it. */
  private tailCall(): LinkedFunction | undefined {
    const { u32, u64 } = this.registers;
    const map = this.machine.map(u32[4]!);
    if (!(map instanceof ProgArrayMap)) throw fault('a tail call by a map that is no prog array');
    const target = this.functions[map.program(u32[6]!)];
    if (target === undefined || this.machine.tailCalls >= MAX_TAIL_CALLS) {
      u64[0] = 0xffff_ffff_ffff_fffen; // -ENOENT
      return undefined;
    }
    this.machine.tailCalls++;
    return target;
  }

  private callHelper(insn: Insn, frame: Address): void {
    const helper = this.helpers.get(insn.imm);
    if (helper === undefined) throw fault(`helper ${insn.imm} is not modelled`);
    const { u32, u64 } = this.registers;
    const args = this.args;
    args.length = 0;
    for (const [i, kind] of helper.args.entries()) {
      args.push(u32[2 * (i + 1)]!);
      if (kind === 'u64') args.push(u32[2 * (i + 1) + 1]!);
    }
    checkArguments(this.machine, helper, args);
    this.frame = frame;
    const result = helper.run(this.machine, ...args);
    u64[0] = this.resultOf(helper, result, args[0]!);
  }

  private resultOf(helper: Helper, result: number, map: Address): bigint {
    if (helper.returns === 'clock') return this.machine.memory.nowNs;
    if (helper.returns === 'int') return BigInt.asUintN(64, BigInt(result | 0));
    if (helper.returns === 'value' && result !== 0) this.machine.grantValue(map, result);
    return BigInt(result >>> 0);
  }

  /** The frame of the function that called the helper, for its callbacks. */
  private frame: Address = 0;

  private callback(index: number, a: number, b: number, c: number, d: number): number {
    const fn = this.functions[index];
    if (fn === undefined) throw fault(`a callback that is no function, ${index}`);
    const { u64, u32 } = this.registers;
    const saved = u64.slice(6);
    const { frame } = this;
    for (const [i, value] of [a, b, c, d].entries()) u64[i + 1] = BigInt(value >>> 0);
    if (++this.depth >= MAX_DEPTH) throw fault('calls nest too deeply');
    this.execute(fn, frame + FRAME_BYTES);
    this.depth--;
    this.frame = frame;
    u64.set(saved, 6);
    return u32[0]! | 0;
  }

  private located(error: unknown): unknown {
    if (!(error instanceof VmError) || error.code !== 'FAULT' || this.current === undefined) return error;
    return new VmError('FAULT', `${this.current.def.name}: instruction ${this.slot}: ${error.message}`, {}, error);
  }
}
