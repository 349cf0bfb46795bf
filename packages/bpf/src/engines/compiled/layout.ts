/**
 * The compiled form, all in one block of the shared memory; numbers are bytes. An address of a row carries in its low
 * bits (`ROW`) how many levels of nodes lie below its root, and whether it is wide.
 */

/** For each direction, ingress first. `hashShift`: how far the hash is shifted to the right to give a bucket. */
export const DIRECTION = { bytes: 16, shift: 4, table: 0, hashShift: 4, anyRow: 8, emptyRow: 12 } as const;
export const HASH_FACTOR = 0x9e37_79b1;

/**
 * Four identities, then their rows. Free places hold identity 0 and its row, so that it needs no place of its own. A
 * bucket with no free place goes on in the next one.
 */
export const BUCKET = { bytes: 32, shift: 5, places: 4, lastIdentity: 12, rows: 16 } as const;

/**
 * What an identity's entries say about each (protocol, port), as intervals of protocol << 16 | port. A node is 16
 * boundaries, i32, ascending, the rest filled with the greatest number; a leaf's are where intervals begin.
 *
 * A small row, of up to 8 intervals, is one node: 8 boundaries, then 8 references to records. References are greater
 * than every boundary, so the search that counts the boundaries up to a key never counts them. A wide row has 16
 * boundaries, then 16 references; bit `wide` of its address is the distance that its references are further behind.
 * Taller rows have the references of all leaves, 16 each, behind all nodes, and in front of the root: at -4 the
 * address of the references, at -8 that of the next level's nodes, and so on.
 */
export const NODE = { bytes: 64, boundaries: 16, children: 17 } as const;
export const ROW = {
  alignment: 64,
  heightMask: 7,
  wide: 32,
  tagMask: 63,
  smallIntervals: 8,
  smallRefs: 32,
  refs: 4,
  levels: 8,
  headerBytes: 64,
} as const;

/**
 * What an entry answers: `said` as in record.ts, but with the match type in place of the prefix bits. Records lie
 * right behind the header; a reference is `bias` and the record's number, and loses the bias when multiplied by 8.
 */
export const RECORD = { bytes: 8, shift: 3, said: 0, rank: 4, bias: 0x4000_0000 } as const;
export const HEADER_BYTES = 64;
