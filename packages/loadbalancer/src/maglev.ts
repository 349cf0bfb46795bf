import type { L4Protocol } from '@ciliate/k8s';
import { LoadBalancerError } from './errors.ts';
import { murmur3 } from './murmur3.ts';

/** Sizes of a table that Cilium takes, all prime. Source: pkg/maglev. */
export const MAGLEV_TABLE_SIZES: readonly number[] = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071];
export const DEFAULT_MAGLEV_TABLE_SIZE = 16381;
/** `bpf-lb-maglev-hash-seed` of an agent that was not told another. */
export const DEFAULT_MAGLEV_HASH_SEED = 'JLfvgnHc2kaSUFaI';
export const DEFAULT_BACKEND_WEIGHT = 100;

/** The three 32-bit numbers in a `bpf-lb-maglev-hash-seed`. */
export interface MaglevSeeds {
  /** Of the permutations of backends. */
  murmur: number;
  /** Of the flows' hashes in the datapath, IPv4 and IPv6. */
  jhash4: number;
  jhash6: number;
}

/** @param base64 of 12 bytes. @throws LoadBalancerError BAD_INPUT */
export function parseMaglevSeed(base64: string): MaglevSeeds {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
  if (bytes.length !== 12 || Buffer.from(bytes).toString('base64') !== base64)
    throw new LoadBalancerError('BAD_INPUT', `Maglev hash seed "${base64}": want 12 bytes in base64`, { base64 });
  const view = new DataView(bytes.buffer);
  return { murmur: view.getUint32(0), jhash4: view.getUint32(4), jhash6: view.getUint32(8) };
}

export interface MaglevBackend {
  id: number;
  /** In the form of RFC 5952. */
  address: string;
  port: number;
  protocol: L4Protocol;
  /** LB_LOOKUP_SCOPE_*; default 0, external, as every backend of Kubernetes. */
  scope?: number;
  /** Default 100. */
  weight?: number;
}

/** What a backend is sorted and hashed by, the same on all nodes. Source: pkg/maglev. */
export function maglevHashString({ address, port, protocol, scope = 0 }: Omit<MaglevBackend, 'id'>): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `[${host}:${port}/${protocol}${scope === 0 ? '' : '/i'},State:active]`;
}

/** Where a backend's permutation of `m` slots begins, and the step from each to the next. */
export function maglevPermutation(hashString: string, m: number, seed: number): { offset: number; skip: number } {
  const [h1, h2] = murmur3(Buffer.from(hashString), seed);
  return { offset: Number(h1 % BigInt(m)), skip: Number(h2 % BigInt(m - 1)) + 1 };
}

export interface MaglevOptions {
  /** Slots; one of MAGLEV_TABLE_SIZES. */
  m?: number;
  /** `MaglevSeeds.murmur`. */
  seed?: number;
}

const DEFAULT_SEED = parseMaglevSeed(DEFAULT_MAGLEV_HASH_SEED).murmur;
const EMPTY = 0xffff_ffff;

/**
 * The lookup table that Cilium's pkg/maglev computes: for each slot the id of a backend. It does not depend on the order
 * of the backends, nor, but for its values, on their ids; a backend that leaves moves few slots of the others.
 *
 * Slot by slot the next backend in turn takes the first slot of its own permutation that is free; a backend whose share,
 * by its weight, is used up lets the next one go first.
 * @param backends at least one; addresses with ports and protocols each once
 * @throws LoadBalancerError BAD_INPUT for another size, or no backend
 */
export function maglevTable(backends: readonly MaglevBackend[], options: MaglevOptions = {}): Uint32Array {
  const { m = DEFAULT_MAGLEV_TABLE_SIZE, seed = DEFAULT_SEED } = options;
  if (!MAGLEV_TABLE_SIZES.includes(m))
    throw new LoadBalancerError('BAD_INPUT', `Maglev table size ${m}: want one of ${MAGLEV_TABLE_SIZES}`, { m });
  const count = backends.length;
  if (count === 0) throw new LoadBalancerError('BAD_INPUT', 'a Maglev table of no backends', { m });
  const sorted = backends.map((backend) => ({ ...backend, hash: maglevHashString(backend) }));
  sorted.sort((a, b) => (a.hash < b.hash ? -1 : Number(a.hash > b.hash)));
  const turns = new Turns(sorted.map(({ weight = DEFAULT_BACKEND_WEIGHT }) => weight));
  const ids = Uint32Array.from(sorted, ({ id }) => id);
  // Where each backend is in its permutation.
  const slots = new Uint32Array(count);
  const skips = new Uint32Array(count);
  for (const [i, { hash }] of sorted.entries()) {
    const { offset, skip } = maglevPermutation(hash, m, seed);
    slots[i] = offset;
    skips[i] = skip;
  }
  const table = new Uint32Array(m).fill(EMPTY);
  for (let n = 0; n < m; n++) {
    const i = turns.next(n);
    const skip = skips[i]!;
    let slot = slots[i]!;
    while (table[slot] !== EMPTY) slot = (slot + skip) % m;
    table[slot] = ids[i]!;
    slots[i] = (slot + skip) % m;
  }
  return table;
}

/** Whose turn it is: round and round, but a backend waits while it has had more than its weight asks for. */
class Turns {
  readonly #weights: Float64Array;
  /** The turn from which the backend may go again, times its weight. */
  readonly #due: Float64Array;
  readonly #sum: number;
  readonly #isWeighted: boolean;

  constructor(weights: readonly number[]) {
    this.#weights = Float64Array.from(weights);
    this.#due = Float64Array.from(weights, (weight) => weight / weights.length);
    this.#sum = weights.reduce((sum, weight) => sum + weight, 0);
    // A whole division there: with an average weight below 2 the weights do not count.
    this.#isWeighted = Math.floor(this.#sum / weights.length) > 1;
  }

  next(n: number): number {
    const count = this.#weights.length;
    let i = n % count;
    if (!this.#isWeighted) return i;
    while ((n + 1) * this.#weights[i]! < Math.floor(this.#due[i]!)) i = i + 1 === count ? 0 : i + 1;
    this.#due[i]! += this.#sum;
    return i;
  }
}
