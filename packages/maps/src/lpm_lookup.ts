import { loadU32 } from './bytes.ts';
import { bitAt } from './lpm_bits.ts';
import { INTERMEDIATE, isIntermediate, KEY_DATA, matchNode, NODE } from './lpm_node.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * The walk of a lookup: the kernel's, node by node. It differs in what it compares in a node: whether all of its prefix
 * matches, not how many bits do; and as a child's prefix begins with its parent's, only words that do not lie in that.
 */

/** For 0..31: which bits of a little-endian word are the first so many of its bytes in their order. */
const FIRST_BITS = Int32Array.from({ length: 32 }, (_, bits) => {
  const inByte = (0xff00 >> (bits & 7)) & 0xff;
  return (2 ** (bits & 24) - 1) | (inByte << (bits & 24));
});

/** @param key a multiple of 4. @returns the entry with the longest prefix that the key's first bits begin with, or NULL */
export function longestMatch(words: Int32Array, root: Address, key: Address, maxBits: number): Address {
  const keyBits = words[key >> 2]!;
  if (keyBits >>> 0 > maxBits) return NULL;
  const k = (key + KEY_DATA) >> 2;
  let found: Address = NULL;
  let i = 0;
  for (let node = root; node !== NULL; ) {
    const n = node >> 2;
    const nodeBits = words[n + (NODE.prefixlen >> 2)]!;
    if (nodeBits > keyBits) break;
    const whole = nodeBits >>> 5;
    const data = n + (NODE.data >> 2);
    while (i < whole && words[data + i] === words[k + i]) i++;
    if (i < whole) break;
    if (nodeBits === maxBits && (maxBits & 31) === 0) return node;
    const keyWord = words[k + whole]!;
    const rest = nodeBits & 31;
    if (((words[data + whole]! ^ keyWord) & FIRST_BITS[rest]!) !== 0) break;
    if (nodeBits === maxBits) return node;
    if ((words[n + (NODE.flags >> 2)]! & INTERMEDIATE) === 0) found = node;
    // Bit `rest` of the word's bytes in their order: XOR with 7 turns the order of the bits in each byte around.
    node = words[n + ((keyWord >>> (rest ^ 7)) & 1)]!;
  }
  return found;
}

/** `longestMatch` for keys of 8 bytes, those of policy maps, given as words. */
export function longestMatch64(
  words: Int32Array,
  root: Address,
  keyBits: number,
  word0: number,
  word1: number,
): Address {
  if (keyBits >>> 0 > 64) return NULL;
  let found: Address = NULL;
  let node = root;
  // As long as the prefixes lie in the first word; then the second one alone is left to compare.
  while (node !== NULL) {
    const n = node >> 2;
    const nodeBits = words[n + (NODE.prefixlen >> 2)]!;
    const differ = words[n + (NODE.data >> 2)]! ^ word0;
    if (nodeBits >= 32) {
      if (differ !== 0) return found;
      break;
    }
    if (nodeBits > keyBits || (differ & FIRST_BITS[nodeBits]!) !== 0) return found;
    if ((words[n + (NODE.flags >> 2)]! & INTERMEDIATE) === 0) found = node;
    node = words[n + ((word0 >>> (nodeBits ^ 7)) & 1)]!;
  }
  while (node !== NULL) {
    const n = node >> 2;
    const nodeBits = words[n + (NODE.prefixlen >> 2)]!;
    const differ = words[n + (NODE.data >> 2) + 1]! ^ word1;
    if (nodeBits === 64) return differ === 0 && keyBits === 64 ? node : found;
    if (nodeBits > keyBits || (differ & FIRST_BITS[nodeBits & 31]!) !== 0) return found;
    if ((words[n + (NODE.flags >> 2)]! & INTERMEDIATE) === 0) found = node;
    node = words[n + ((word1 >>> ((nodeBits & 31) ^ 7)) & 1)]!;
  }
  return found;
}

/** `longestMatch` for a key at any address: bit by bit, as the kernel counts them. */
export function longestMatchUnaligned(m: Memory, root: Address, key: Address, maxBits: number): Address {
  if (loadU32(m, key) > maxBits) return NULL;
  let found: Address = NULL;
  for (let node = root; node !== NULL; ) {
    const nodeBits = m.i32[(node + NODE.prefixlen) >> 2]!;
    if (matchNode(m, node, key) < nodeBits) break;
    if (!isIntermediate(m, node)) found = node;
    if (nodeBits === maxBits) break;
    node = m.i32[(node >> 2) + bitAt(m, key + KEY_DATA, nodeBits)]!;
  }
  return found;
}
