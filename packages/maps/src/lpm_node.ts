import { loadU32 } from './bytes.ts';
import { bitAt, longestPrefixMatch } from './lpm_bits.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * A node: its children (next bit 0, next bit 1), its flags (in the low bits of the slab's chunk word), the slab's link, then the key's raw bytes
 * (u32 prefixlen, data), then the value, on a multiple of 8.
 */
export const NODE = { child0: 0, child1: 4, flags: 8, slabLink: 12, prefixlen: 16, data: 20 } as const;
/** An intermediate node: holds no value, has exactly two children. */
export const INTERMEDIATE = 1;
/** `struct bpf_lpm_trie_key`: u32 prefixlen in front of the data. */
export const KEY_DATA = 4;
/** `NODE`, the offset of the value, the bit of `flags` that says intermediate, the address of the link to the root. */
export type LpmLayout = Readonly<Record<keyof typeof NODE | 'value' | 'intermediate' | 'root', number>>;

/** How many bits the node's prefix and the key share. */
export function matchNode(m: Memory, node: Address, key: Address): number {
  const limit = Math.min(m.i32[(node + NODE.prefixlen) >> 2]!, loadU32(m, key));
  return longestPrefixMatch(m, node + NODE.data, key + KEY_DATA, limit);
}

export const isIntermediate = (m: Memory, node: Address): boolean =>
  (m.i32[(node + NODE.flags) >> 2]! & INTERMEDIATE) !== 0;

/** The nodes from `root` to the key's own entry; empty if it has none. */
export function pathTo(m: Memory, root: Address, key: Address): Address[] {
  const keyBits = loadU32(m, key);
  const path: Address[] = [];
  for (let node = root; node !== NULL; ) {
    path.push(node);
    const nodeBits = m.i32[(node + NODE.prefixlen) >> 2]!;
    if (matchNode(m, node, key) !== nodeBits) return [];
    if (nodeBits === keyBits) return isIntermediate(m, node) ? [] : path;
    node = m.i32[(node >> 2) + bitAt(m, key + KEY_DATA, nodeBits)]!;
  }
  return [];
}

/** The entry after the last of `path`, in postorder. */
export function after(m: Memory, path: Address[]): Address {
  for (let depth = path.length - 1; depth > 0; depth--) {
    const parent = path[depth - 1]!;
    const sibling = m.i32[(parent + NODE.child1) >> 2]!;
    if (m.i32[(parent + NODE.child0) >> 2] === path[depth] && sibling !== NULL) return leftmost(m, sibling);
    if (!isIntermediate(m, parent)) return parent;
  }
  return NULL;
}

/** The first entry at or below `node`, in postorder. */
export function leftmost(m: Memory, node: Address): Address {
  for (let at = node; ; ) {
    const child = m.i32[(at + NODE.child0) >> 2]! || m.i32[(at + NODE.child1) >> 2]!;
    if (child === NULL) return at;
    at = child;
  }
}
