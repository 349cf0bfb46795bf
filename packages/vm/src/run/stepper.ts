import type { BpfMap } from '@ciliate/maps';
import { disassemble } from '../insn/disasm.ts';
import type { Observer } from '../interpreter/interpreter.ts';
import type { Machine } from '../machine/machine.ts';
import type { Registers } from '../machine/registers.ts';
import { namesOf } from '../object/dump.ts';
import type { LinkedFunction } from '../object/linked.ts';
import { lineAt } from '../object/object.ts';

/** A line of any source file, or of those whose path ends so. */
export interface Breakpoint {
  file?: string;
  line: number;
}

/**
 * Tells a run of the interpreter: the source line when it changes, each instruction, and what it changed, registers named
 * by what they hold. With breakpoints it tells only where one is reached, and then all registers.
 */
export class Stepper {
  private readonly write: (line: string) => void;
  private readonly breakpoints: readonly Breakpoint[];
  private machine: Machine | undefined;
  private maps: ReadonlyMap<string, BpfMap> = new Map();
  private before = new BigUint64Array(11);
  private instruction = '';
  private place = '';

  constructor(write: (line: string) => void, breakpoints: readonly Breakpoint[] = []) {
    this.write = write;
    this.breakpoints = breakpoints;
  }

  /** Whose registers these are; before the first run. */
  attach(machine: Machine, maps: ReadonlyMap<string, BpfMap>): void {
    this.machine = machine;
    this.maps = maps;
  }

  readonly observer: Observer = (fn, slot, registers, depth) => {
    const line = lineAt(fn.def, slot);
    const place = line === undefined ? fn.def.name : `${line.file}:${line.line}`;
    const text = line === undefined ? fn.def.name : `; ${fn.def.name} ${place}: ${line.text}`;
    const isNew = place !== this.place;
    this.place = place;
    if (this.breakpoints.length > 0) {
      if (isNew && line !== undefined && this.isBreak(line.file, line.line)) this.showAll(text, registers);
      return;
    }
    this.finish(registers);
    if (isNew) this.write(text);
    this.instruction = `${'  '.repeat(depth)}${this.disassembled(fn, slot)}`;
    this.before = registers.u64.slice();
  };

  /** After the run: the last instruction has nothing behind it. */
  end(registers: Registers): void {
    this.finish(registers);
    this.instruction = '';
    this.place = '';
  }

  private finish(registers: Registers): void {
    if (this.instruction === '') return;
    const changes: string[] = [];
    for (let n = 0; n <= 10; n++) {
      if (registers.u64[n] !== this.before[n]) changes.push(`r${n} = ${this.nameOf(registers.u64[n]!)}`);
    }
    this.write(changes.length === 0 ? this.instruction : `${this.instruction.padEnd(56)} ${changes.join(', ')}`);
  }

  private showAll(text: string, registers: Registers): void {
    this.write(text);
    for (let n = 0; n <= 10; n++) this.write(`        r${n} = ${this.nameOf(registers.u64[n]!)}`);
  }

  private isBreak(file: string, line: number): boolean {
    return this.breakpoints.some((b) => b.line === line && (b.file === undefined || file.endsWith(b.file)));
  }

  private disassembled(fn: LinkedFunction, slot: number): string {
    // With the object's own instruction: names stand where addresses have been put.
    return `${String(slot).padStart(6)}: ${disassemble(fn.def.code.at(slot), slot, namesOf(fn.def))}`;
  }

  private nameOf(value: bigint): string {
    const scalar = value < 0x1_0000n ? String(value) : `0x${value.toString(16)}`;
    if (value === 0n || value > 0x7fff_ffffn) return scalar;
    const at = Number(value);
    for (const map of this.maps.values()) if (map.address === at) return `map ${map.spec.name}`;
    return this.machine?.regions.describe(at) ?? scalar;
  }
}
