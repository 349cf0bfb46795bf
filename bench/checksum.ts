import { ANSWER } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';

/** FNV-1a over the words of `count` answers, as bench/c/harness.h. */
export function checksum(memory: Memory, answers: Address, count: number): number {
  const words = memory.u32;
  const end = (answers + count * ANSWER.size) >> 2;
  let sum = 0x811c_9dc5;
  for (let at = answers >> 2; at < end; at++) sum = Math.imul(sum ^ words[at]!, 0x0100_0193);
  return sum >>> 0;
}
