import { type Count, FATES, HOOKS, type Tally } from './protocol.ts';
import { mixWords } from './word_table.ts';

const DROP_CODES = 256;

/** Counts what became of packets, without an object for each. */
export class Counters {
  /** Packets and bytes, by turns. */
  readonly #hooks = new Float64Array(2 * HOOKS.length);
  readonly #fates = new Float64Array(2 * FATES.length);
  readonly #drops = new Float64Array(2 * DROP_CODES);
  #checksum = 0;

  /** @param what else tells this outcome from others: where the packet went, how long it is */
  add(hook: number, fate: number, dropCode: number, bytes: number, number: number, what: number): void {
    this.#hooks[2 * hook]! += 1;
    this.#hooks[2 * hook + 1]! += bytes;
    this.#fates[2 * fate]! += 1;
    this.#fates[2 * fate + 1]! += bytes;
    if (dropCode !== 0) {
      this.#drops[2 * dropCode]! += 1;
      this.#drops[2 * dropCode + 1]! += bytes;
    }
    // A sum: it does not matter who counts which packet.
    this.#checksum = (this.#checksum + mixWords(number, mixWords((fate << 8) | dropCode, what))) | 0;
  }

  get tally(): Tally {
    const drops: Tally['drops'] = {};
    for (let code = 0; code < DROP_CODES; code++)
      if (this.#drops[2 * code] !== 0) drops[code] = [this.#drops[2 * code]!, this.#drops[2 * code + 1]!];
    return { hooks: pairs(this.#hooks), fates: pairs(this.#fates), drops, checksum: this.#checksum >>> 0 };
  }
}

const pairs = (words: Float64Array): Count[] =>
  Array.from({ length: words.length / 2 }, (_, i) => [words[2 * i]!, words[2 * i + 1]!]);

const addCounts = (a: Count = [0, 0], b: Count = [0, 0]): Count => [a[0] + b[0], a[1] + b[1]];

/** The tally of all packets of both. */
export function addTallies(a: Tally, b: Tally): Tally {
  const codes = [...new Set([...Object.keys(a.drops), ...Object.keys(b.drops)])].map(Number).sort((x, y) => x - y);
  return {
    hooks: a.hooks.map((count, i) => addCounts(count, b.hooks[i])),
    fates: a.fates.map((count, i) => addCounts(count, b.fates[i])),
    drops: Object.fromEntries(codes.map((code) => [code, addCounts(a.drops[code], b.drops[code])])),
    checksum: (a.checksum + b.checksum) >>> 0,
  };
}

export const emptyTally = (): Tally => new Counters().tally;
