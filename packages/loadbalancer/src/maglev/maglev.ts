import { murmur3 } from './murmur3.ts';

/** A backend as Maglev sees it. */
export interface MaglevBackend {
  /** What the table holds, u32. */
  readonly id: number;
  /** In canonical text, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  /** Only for traffic inside the cluster. */
  readonly internal?: boolean;
  /** Of its share of slots; 100 if nobody says otherwise. */
  readonly weight?: number;
}

/** Three numbers of one text, the same on all nodes of a cluster. */
export interface MaglevSeeds {
  readonly murmur: number;
  /** HASH_INIT4_SEED and HASH_INIT6_SEED: of the flow's hash, by which the datapath takes a slot. */
  readonly jhash4: number;
  readonly jhash6: number;
}

/** Sizes that `bpf-lb-maglev-table-size` takes: prime numbers. */
export const MAGLEV_SIZES: readonly number[] = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071];
export const DEFAULT_MAGLEV_SIZE = 16_381;
export const DEFAULT_MAGLEV_SEED = 'JLfvgnHc2kaSUFaI';
const SEED_BYTES = 12;
const DEFAULT_WEIGHT = 100;
const EMPTY = 0xffff_ffff;

/** `--bpf-lb-maglev-hash-seed`: 12 bytes in base64, three big-endian words. @throws RangeError for anything else */
export function maglevSeeds(base64: string): MaglevSeeds {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== SEED_BYTES || bytes.toString('base64') !== base64)
    throw new RangeError(`${JSON.stringify(base64)} is no seed: want ${SEED_BYTES} bytes in base64`);
  return { murmur: bytes.readUInt32BE(0), jhash4: bytes.readUInt32BE(4), jhash6: bytes.readUInt32BE(8) };
}

/** By this text backends are sorted and hashed, so that all nodes build the same table. */
export function maglevText({ address, port, protocol, internal }: MaglevBackend): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `[${host}:${port}/${protocol}${internal ? '/i' : ''},State:active]`;
}

/** Where a backend begins and how far it jumps in a table of `size` slots. */
export function maglevPermutation(text: string, size: number, seed: number): { offset: number; skip: number } {
  const [h1, h2] = murmur3(Buffer.from(text), seed);
  return { offset: Number(h1 % BigInt(size)), skip: Number(h2 % BigInt(size - 1)) + 1 };
}

/**
 * The lookup table of a service: `size` backend ids, each backend with its share by weight. In turns each backend takes the
 * next free slot of its own permutation; one that has had its share by weight is passed over. The order of backends does not
 * matter. Source: pkg/maglev; Eisenbud et al., Maglev, NSDI 2016.
 * @param size prime, not below the number of backends
 * @returns empty if there are no backends
 */
export function maglevTable(
  backends: readonly MaglevBackend[],
  { size = DEFAULT_MAGLEV_SIZE, seeds = maglevSeeds(DEFAULT_MAGLEV_SEED) }: { size?: number; seeds?: MaglevSeeds } = {},
): Uint32Array {
  const count = backends.length;
  if (count === 0) return new Uint32Array(0);
  const sorted = backends.map((backend) => ({ backend, text: maglevText(backend) })).sort(byText);
  const slots = new Int32Array(count);
  const skips = new Int32Array(count);
  const weights = Float64Array.from(sorted, ({ backend }) => backend.weight ?? DEFAULT_WEIGHT);
  const turns = weights.map((weight) => weight / count);
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const byWeight = Math.floor(sum / count) > 1;
  for (const [index, { text }] of sorted.entries()) {
    const { offset, skip } = maglevPermutation(text, size, seeds.murmur);
    slots[index] = offset;
    skips[index] = skip;
  }
  const table = new Uint32Array(size).fill(EMPTY);
  for (let n = 0; n < size; n++) {
    let index = n % count;
    if (byWeight) {
      while ((n + 1) * weights[index]! < Math.trunc(turns[index]!)) index = (index + 1) % count;
      turns[index]! += sum;
    }
    let slot = slots[index]!;
    const skip = skips[index]!;
    while (table[slot] !== EMPTY) slot = (slot + skip) % size;
    table[slot] = sorted[index]!.backend.id;
    slots[index] = (slot + skip) % size;
  }
  return table;
}

function byText({ text: a }: { text: string }, { text: b }: { text: string }): number {
  return a < b ? -1 : Number(a > b);
}
