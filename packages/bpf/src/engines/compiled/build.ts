import type { Address, Memory } from '@ciliate/maps';
import { matchType } from '../../lib/policy.ts';
import type { EngineEntry } from '../engine.ts';
import { prefixBits } from '../entry_key.ts';
import { recordOf, wordOf } from '../record.ts';
import { type Intervals, intervals, type Prefix } from './intervals.ts';
import { BUCKET, DIRECTION, HASH_FACTOR, HEADER_BYTES, NODE, RECORD, ROW } from './layout.ts';

const PADDING = 0x7fff_ffff;
/** Identities for each bucket, on average, at most. */
const LOAD = 1.5;
const PORT_BITS = 0xff_ffff;

/** Writes the form of these entries, whose keys differ, into a new block. @throws MapError ENOMEM */
export function buildForm(memory: Memory, entries: Iterable<EngineEntry>): { at: Address; bytes: number } {
  const plan = new Plan();
  const directions = [new Map<number, Prefix[]>(), new Map<number, Prefix[]>()];
  for (const entry of entries) {
    const rows = directions[entry.egress ? 1 : 0]!;
    const row = rows.get(entry.identity) ?? [];
    if (row.length === 0) rows.set(entry.identity, row);
    row.push({ start: wordOf(entry) & PORT_BITS, bits: prefixBits(entry), record: plan.record(entry, true) });
  }
  const tables = directions.map((rows) => {
    const any = rows.get(0) ?? [];
    rows.delete(0);
    return {
      // What identity 0 says of any packet, and of one whose identity is 0: the match types differ.
      anyRow: plan.row(any.map((prefix) => ({ ...prefix, record: plan.recordForAny(prefix.record) }))),
      ownRow: plan.row(any),
      buckets: fillBuckets([...rows].map(([identity, prefixes]) => [identity, plan.row(prefixes)])),
    };
  });
  return plan.write(memory, plan.row([]), tables);
}

interface Table {
  anyRow: number;
  ownRow: number;
  buckets: Buckets;
}

interface Buckets {
  hashShift: number;
  /** (identity, row) of up to four. */
  places: [identity: number, row: number][][];
}

function fillBuckets(rows: [identity: number, row: number][]): Buckets {
  const bits = Math.max(1, Math.ceil(Math.log2(Math.max(1, rows.length) / LOAD)));
  const hashShift = 32 - bits;
  const places: Buckets['places'] = Array.from({ length: 2 ** bits + 1 }, () => []);
  for (const [identity, row] of rows) {
    let bucket = Math.imul(identity, HASH_FACTOR) >>> hashShift;
    while (places[bucket]!.length === BUCKET.places) bucket++;
    places[bucket]!.push([identity, row]);
    // A search that has reached a full bucket goes on: there is always one more.
    if (bucket === places.length - 1) places.push([]);
  }
  return { hashShift, places };
}

/** What the form will hold: records and rows, each once. Rows know records, and tables know rows, by number. */
class Plan {
  /** Record 0: no entry. */
  private readonly records: { said: number; rank: number; forAny: number }[] = [{ said: 0, rank: 0, forAny: 0 }];
  private readonly recordNumbers = new Map<number, number>();
  private readonly rows: Intervals[] = [];
  private readonly rowNumbers = new Map<string, number>();

  record(entry: EngineEntry, namesIdentity: boolean): number {
    const { said, rank } = recordOf(entry);
    const type = matchType(prefixBits(entry), namesIdentity);
    const withType = (said & 0xff00_ffff) | (type << 16);
    const text = (withType >>> 0) * 2 ** 15 + rank;
    const known = this.recordNumbers.get(text);
    if (known !== undefined) return known;
    const index = this.records.length;
    this.recordNumbers.set(text, index);
    this.records.push({ said: withType, rank, forAny: 0 });
    if (namesIdentity) this.records[index]!.forAny = this.record(entry, false);
    return index;
  }

  /** The record of the same entry, chosen as the one for any identity. */
  recordForAny(index: number): number {
    return this.records[index]!.forAny;
  }

  row(prefixes: readonly Prefix[]): number {
    const row = intervals(prefixes, 0);
    const text = `${row.boundaries.join()};${row.records.join()}`;
    const known = this.rowNumbers.get(text);
    if (known !== undefined) return known;
    this.rowNumbers.set(text, this.rows.length);
    this.rows.push(row);
    return this.rows.length - 1;
  }

  write(memory: Memory, emptyRow: number, tables: readonly Table[]): { at: Address; bytes: number } {
    const rowBytes = this.rows.map(bytesOfRow);
    const tableBytes = tables.map(({ buckets }) => buckets.places.length * BUCKET.bytes);
    const recordBytes = align(this.records.length * RECORD.bytes, ROW.alignment);
    const bytes = HEADER_BYTES + recordBytes + sum(tableBytes) + sum(rowBytes) + 2 * ROW.alignment;
    const block = memory.alloc(bytes);
    const words = memory.i32;
    const header = align(block, ROW.alignment);
    let free = header + HEADER_BYTES;
    for (const [index, { said, rank }] of this.records.entries())
      words.set([said, rank], (free + index * RECORD.bytes) >> 2);
    free += recordBytes;
    const tableAt = tables.map((_, i) => free + sum(tableBytes.slice(0, i)));
    free = align(free + sum(tableBytes), ROW.alignment);
    const rowAt = this.rows.map((row, i) => {
      const address = writeRow(words, free, row);
      free += rowBytes[i]!;
      return address;
    });
    for (const [i, { anyRow, ownRow, buckets }] of tables.entries()) {
      const at = (header + i * DIRECTION.bytes) >> 2;
      words.set([tableAt[i]!, buckets.hashShift, rowAt[anyRow]!, rowAt[emptyRow]!], at);
      for (const [index, places] of buckets.places.entries()) {
        const bucket = (tableAt[i]! + index * BUCKET.bytes) >> 2;
        for (let place = 0; place < BUCKET.places; place++) {
          const [identity, row] = places[place] ?? [0, ownRow];
          words[bucket + place] = identity;
          words[bucket + BUCKET.places + place] = rowAt[row]!;
        }
      }
    }
    return { at: block, bytes };
  }
}

/** How many nodes each level has, the root's first. */
function levelsOf({ boundaries }: Intervals): number[] {
  const levels = [Math.ceil(boundaries.length / NODE.boundaries)];
  while (levels[0]! > 1) levels.unshift(Math.ceil(levels[0]! / NODE.children));
  return levels;
}

const isSmall = ({ boundaries }: Intervals): boolean => boundaries.length <= ROW.smallIntervals;

function bytesOfRow(row: Intervals): number {
  if (isSmall(row)) return NODE.bytes;
  const levels = levelsOf(row);
  const header = levels.length > 1 ? ROW.headerBytes : 0;
  return header + (sum(levels) + levels.at(-1)!) * NODE.bytes;
}

/** @returns the row's address, with its height */
function writeRow(words: Int32Array, start: Address, row: Intervals): Address {
  const levels = levelsOf(row);
  const height = levels.length - 1;
  const root = height > 0 ? start + ROW.headerBytes : start;
  const levelAt = levels.map((_, level) => root + sum(levels.slice(0, level)) * NODE.bytes);
  const refs = root + (isSmall(row) ? ROW.smallRefs : sum(levels) * NODE.bytes);
  if (height > 0) words[(root - ROW.refs) >> 2] = refs;
  for (let level = 1; level <= height; level++) words[(root - ROW.levels - 4 * (level - 1)) >> 2] = levelAt[level]!;

  const writeReferences = (): void => {
    for (const [index, record] of row.records.entries()) words[(refs >> 2) + index] = RECORD.bias + record;
  };
  // The smallest boundary below each node, from the leaves up.
  let smallest = row.boundaries.filter((_, i) => i % NODE.boundaries === 0);
  const put = (level: number, node: number, boundaries: readonly number[]): void => {
    const at = (levelAt[level]! + node * NODE.bytes) >> 2;
    for (let i = 0; i < NODE.boundaries; i++) words[at + i] = boundaries[i] ?? PADDING;
  };
  for (let node = 0; node < levels[height]!; node++) {
    const first = node * NODE.boundaries;
    put(height, node, row.boundaries.slice(first, first + NODE.boundaries));
  }
  for (let level = height - 1; level >= 0; level--) {
    for (let node = 0; node < levels[level]!; node++) {
      const first = node * NODE.children;
      put(level, node, smallest.slice(first + 1, first + NODE.children));
    }
    smallest = smallest.filter((_, i) => i % NODE.children === 0);
  }
  // Behind the boundaries: those of a small row end in the middle of its node.
  writeReferences();
  return root | (height > 0 ? height : isSmall(row) ? 0 : ROW.wide);
}

const align = (n: number, to: number): number => Math.ceil(n / to) * to;
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
