/** Five words as a key, one word as a value: open addressing in one typed array. For tables that are filled once. */
const STRIDE = 7;
const USED = 6;

export class WordTable {
  #words = new Int32Array(64 * STRIDE);
  #mask = 63;
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** @returns what `set` gave the key, else `absent`. Allocates nothing. */
  get(a: number, b: number, c: number, d: number, e: number, absent = 0): number {
    const at = this.#find(a, b, c, d, e);
    return this.#words[at + USED] === 0 ? absent : this.#words[at + 5]!;
  }

  set(a: number, b: number, c: number, d: number, e: number, value: number): void {
    if (2 * (this.#count + 1) > this.#mask) this.#grow();
    const at = this.#find(a, b, c, d, e);
    if (this.#words[at + USED] === 0) this.#count++;
    this.#words.set([a, b, c, d, e, value, 1], at);
  }

  #find(a: number, b: number, c: number, d: number, e: number): number {
    const words = this.#words;
    let slot = mixWords(mixWords(mixWords(a ^ 0x9747b28c, b ^ c), d), e) & this.#mask;
    for (;;) {
      const at = slot * STRIDE;
      if (words[at + USED] === 0) return at;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d && words[at + 4] === e)
        return at;
      slot = (slot + 1) & this.#mask;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#mask = 2 * this.#mask + 1;
    this.#words = new Int32Array((this.#mask + 1) * STRIDE);
    this.#count = 0;
    for (let at = 0; at < old.length; at += STRIDE) {
      if (old[at + USED] === 0) continue;
      this.set(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!, old[at + 4]!, old[at + 5]!);
    }
  }
}

/** The finaliser of MurmurHash3 over two words, as an i32. */
export function mixWords(a: number, b: number): number {
  let h = Math.imul(a, 0x9e3779b1) ^ b;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
