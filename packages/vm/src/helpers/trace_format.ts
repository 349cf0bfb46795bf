import type { Address, Memory } from '@ciliate/maps';

const VERB = /%(?:(%)|([-0 +#]*\d*)(ll|l|h|hh)?([diuxXsp]))/g;

/** What bpf_trace_printk writes. @param words low and high half of each argument */
export function formatTrace(memory: Memory, format: Address, size: number, words: readonly number[]): string {
  let next = 0;
  const value = (): bigint => {
    const word = (BigInt(words[2 * next + 1] ?? 0) << 32n) | BigInt(words[2 * next] ?? 0);
    next++;
    return word;
  };
  return textAt(memory, format, size).replace(VERB, (_all, percent, flags: string, length: string, verb: string) => {
    if (percent !== undefined) return '%';
    const bits = length === 'l' || length === 'll' || verb === 'p' ? 64 : 32;
    const word = value();
    const text = verb === 's' ? textAt(memory, Number(word & 0xffff_ffffn), 256) : numberText(word, bits, verb);
    const width = Number(/\d+$/.exec(flags)?.[0] ?? 0);
    return flags.startsWith('-') ? text.padEnd(width) : text.padStart(width, flags.startsWith('0') ? '0' : ' ');
  });
}

function numberText(word: bigint, bits: number, verb: string): string {
  if (verb === 'd' || verb === 'i') return BigInt.asIntN(bits, word).toString();
  const unsigned = BigInt.asUintN(bits, word);
  if (verb === 'u') return unsigned.toString();
  return verb === 'X' ? unsigned.toString(16).toUpperCase() : unsigned.toString(16);
}

function textAt(memory: Memory, at: Address, size: number): string {
  const bytes = memory.u8.slice(at, at + size);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
