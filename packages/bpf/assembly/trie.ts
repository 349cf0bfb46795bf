/* LPM tries (packages/maps: lpm_lookup.ts has the same walks). */

// Nodes: two children, flags, the slab's link, bits of the prefix, its bytes.
const FLAGS: u32 = 8;
const BITS: u32 = 16;
const DATA: u32 = 20;
const INTERMEDIATE: u32 = 1;

/**
 * The child on the side of a key's bit. Both are loaded before it is known which bit that is: a walk is a chain of loads that
 * wait for each other, and so it has the fewest.
 */
@inline
function child(node: u32, key: u64, bit: u32): u32 {
  const left = load<u32>(node);
  const right = load<u32>(node, 4);
  return select<u32>(right, left, <u32>(key >> (bit ^ 7)) & 1);
}

/**
 * The entry with the longest prefix of a key of 64 bits, or 0. A step has as few branches as can be: what a node is, is
 * random to a processor. Behind a node of 64 bits there is none in a trie of such keys.
 * @param longer whether the trie has longer keys too
 */
@inline
export function longestMatch64(masks: u32, node: u32, key: u64, longer: bool): u32 {
  let found: u32 = 0;
  while (node !== 0) {
    const bits = load<u32>(node, BITS);
    if (longer && bits > 64) break;
    if (((load<u64>(node, DATA) ^ key) & load<u64>(masks + (bits << 3))) !== 0) break;
    found = select<u32>(found, node, load<u32>(node, FLAGS) & INTERMEDIATE);
    node = child(node, key, bits);
  }
  return found;
}

/** The same for a key of 160 bits: a first word, and 16 bytes that lie at `rest`. */
export function longestMatch160(masks: u32, first: u32, word: u32, rest: u32): u32 {
  const part0 = (load<u64>(rest) << 32) | word;
  const part1 = load<u64>(rest, 4);
  const part2 = <u64>load<u32>(rest, 12);
  let node = first;
  let found: u32 = 0;
  while (node !== 0) {
    const bits = load<u32>(node, BITS);
    let part = part0;
    let rem = bits;
    if (bits >= 64) {
      if (load<u64>(node, DATA) !== part0) break;
      part = part1;
      rem = bits - 64;
      if (bits >= 128) {
        if (load<u64>(node, DATA + 8) !== part1) break;
        part = part2;
        rem = bits - 128;
        if (rem >= 32) {
          if (load<u32>(node, DATA + 16) !== <u32>part2) break;
          return node;
        }
      }
    }
    // The bytes behind the prefix of the last word may be anything: the mask takes them out.
    const data = load<u64>(node + DATA + ((bits >> 6) << 3));
    if (((data ^ part) & load<u64>(masks + (rem << 3))) !== 0) break;
    found = select<u32>(found, node, load<u32>(node, FLAGS) & INTERMEDIATE);
    node = child(node, part, rem);
  }
  return found;
}
