import type { Address, Memory } from '@ciliate/maps';
import { fault } from '../errors.ts';
import type { Insn } from '../insn/insn.ts';
import { ATOMIC, CLASS, classOf, MODE, modeOf, SIZE, sizeOf } from '../insn/opcodes.ts';
import type { Machine } from '../machine/machine.ts';
import type { Registers } from '../machine/registers.ts';

/** Where `base + off` points. @throws VmError FAULT if no pointer can be there */
function address(r: Registers, base: number, off: number): Address {
  const at = r.u32[2 * base]! + off;
  if (r.u32[2 * base + 1] !== 0 || at < 0) throw fault(`r${base} holds 0x${r.u64[base]!.toString(16)}, no pointer`);
  return at;
}

/** LDX: a load, zero- or sign-extended. */
export function load(machine: Machine, r: Registers, insn: Insn): void {
  const at = address(r, insn.src, insn.off);
  machine.regions.check(at, sizeOf(insn.op), false);
  const { view } = machine.memory;
  const isSigned = modeOf(insn.op) === MODE.MEMSX;
  const d = 2 * insn.dst;
  switch (insn.op & 0x18) {
    case SIZE.DW:
      r.u64[insn.dst] = view.getBigUint64(at, true);
      return;
    case SIZE.W:
      r.i32[d] = view.getInt32(at, true);
      break;
    case SIZE.H:
      r.i32[d] = isSigned ? view.getInt16(at, true) : view.getUint16(at, true);
      break;
    default:
      r.i32[d] = isSigned ? view.getInt8(at) : view.getUint8(at);
  }
  r.i32[d + 1] = isSigned ? r.i32[d]! >> 31 : 0;
}

/** ST, STX and atomic operations. */
export function store(machine: Machine, r: Registers, insn: Insn): void {
  const at = address(r, insn.dst, insn.off);
  machine.regions.check(at, sizeOf(insn.op), true);
  if (modeOf(insn.op) === MODE.ATOMIC) {
    atomic(machine.memory, r, insn, at);
    return;
  }
  const { view } = machine.memory;
  const isNumber = classOf(insn.op) === CLASS.ST;
  if ((insn.op & 0x18) === SIZE.DW) {
    if (isNumber) view.setBigInt64(at, BigInt(insn.imm), true);
    else view.setBigUint64(at, r.u64[insn.src]!, true);
    return;
  }
  const value = isNumber ? insn.imm : r.i32[2 * insn.src]!;
  if ((insn.op & 0x18) === SIZE.W) view.setInt32(at, value, true);
  else if ((insn.op & 0x18) === SIZE.H) view.setInt16(at, value, true);
  else view.setInt8(at, value);
}

function atomic(memory: Memory, r: Registers, insn: Insn, at: Address): void {
  const size = sizeOf(insn.op);
  if (at % size !== 0) throw fault(`an atomic operation at 0x${at.toString(16)}, which is no multiple of ${size}`);
  const isCompare = insn.imm === ATOMIC.CMPXCHG;
  if (size === 8) {
    const old = atomic64(memory, insn.imm, at, r.u64[insn.src]!, r.u64[0]!);
    if (isCompare) r.u64[0] = old;
    else if ((insn.imm & ATOMIC.FETCH) !== 0) r.u64[insn.src] = old;
    return;
  }
  const old = atomic32(memory, insn.imm, at, r.i32[2 * insn.src]!, r.i32[0]!);
  if (isCompare) r.u64[0] = BigInt(old >>> 0);
  else if ((insn.imm & ATOMIC.FETCH) !== 0) r.u64[insn.src] = BigInt(old >>> 0);
}

function atomic64({ u64 }: Memory, operation: number, at: Address, value: bigint, expected: bigint): bigint {
  const i = at / 8;
  switch (operation & ~ATOMIC.FETCH) {
    case ATOMIC.ADD:
      return Atomics.add(u64, i, value);
    case ATOMIC.OR:
      return Atomics.or(u64, i, value);
    case ATOMIC.AND:
      return Atomics.and(u64, i, value);
    case ATOMIC.XOR:
      return Atomics.xor(u64, i, value);
    case ATOMIC.XCHG & ~ATOMIC.FETCH:
      return Atomics.exchange(u64, i, value);
    default:
      return Atomics.compareExchange(u64, i, expected, value);
  }
}

function atomic32({ i32 }: Memory, operation: number, at: Address, value: number, expected: number): number {
  const i = at / 4;
  switch (operation & ~ATOMIC.FETCH) {
    case ATOMIC.ADD:
      return Atomics.add(i32, i, value);
    case ATOMIC.OR:
      return Atomics.or(i32, i, value);
    case ATOMIC.AND:
      return Atomics.and(i32, i, value);
    case ATOMIC.XOR:
      return Atomics.xor(i32, i, value);
    case ATOMIC.XCHG & ~ATOMIC.FETCH:
      return Atomics.exchange(i32, i, value);
    default:
      return Atomics.compareExchange(i32, i, expected, value);
  }
}
