import type { Address } from '@ciliate/maps';
import type { Machine } from '../machine/machine.ts';

/**
 * What an argument is. `key` and `value` have the sizes of the map in front of them; `memory` is as long as the `size`
 * behind it says (`memory?` may be NULL), `written` is memory that the helper writes. A `u64` reaches the helper as two
 * numbers, its low and its high half; the others as one, unsigned.
 */
export type Argument =
  | 'context'
  | 'map'
  | 'key'
  | 'value'
  | 'memory'
  | 'memory?'
  | 'written'
  | 'size'
  | 'u32'
  | 'u64'
  | 'function'
  | 'any';

/**
 * What r0 holds: `int`, an i32 sign-extended (0 or a negative errno); `u32`; the address of a value of the map that is
 * the first argument, or NULL; a u64, of which only the clock is one.
 */
export type Result = 'int' | 'u32' | 'value' | 'clock';

/** A helper function. Source of numbers, names and arguments: include/uapi/linux/bpf.h. */
export interface Helper {
  id: number;
  /** Without `bpf_`. */
  name: string;
  args: readonly Argument[];
  returns: Result;
  /** Allocates nothing where the helper is hot. */
  run: (machine: Machine, ...args: number[]) => number;
}

export type HelperTable = ReadonlyMap<number, Helper>;

/** How many numbers the helper takes. */
export const widthOf = ({ args }: Pick<Helper, 'args'>): number =>
  args.reduce((sum, arg) => sum + (arg === 'u64' ? 2 : 1), 0);

/** Checks every pointer argument. @throws VmError FAULT, as the kernel's verifier refuses the program */
export function checkArguments(machine: Machine, helper: Helper, args: readonly number[]): void {
  let at = 0;
  let map: Address = 0;
  for (const [i, kind] of helper.args.entries()) {
    const value = args[at]!;
    at += kind === 'u64' ? 2 : 1;
    if (kind === 'map') map = value;
    else if (kind === 'key') machine.regions.check(value, machine.map(map).spec.keySize, false);
    else if (kind === 'value') machine.regions.check(value, machine.map(map).spec.valueSize, false);
    else if (kind === 'memory' || kind === 'written' || kind === 'memory?') {
      const size = helper.args[i + 1] === 'size' ? args[at]! : 0;
      // NULL is allowed where there is nothing to read.
      if (kind !== 'memory?' || value !== 0 || size !== 0) machine.regions.check(value, size, kind === 'written');
    }
  }
}
