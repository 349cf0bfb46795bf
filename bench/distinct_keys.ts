/** A set of pairs of u32, open addressing: a JavaScript Set of two million would take a second to fill. */
export class DistinctKeys {
  size = 0;
  private readonly words: Uint32Array;
  private readonly used: Uint8Array;
  private readonly mask: number;

  constructor(maxKeys: number) {
    const slots = 2 ** Math.ceil(Math.log2(2 * maxKeys));
    this.words = new Uint32Array(slots * 2);
    this.used = new Uint8Array(slots);
    this.mask = slots - 1;
  }

  has(a: number, b: number): boolean {
    return this.used[this.slotOf(a, b)] === 1;
  }

  add(a: number, b: number): void {
    const slot = this.slotOf(a, b);
    if (this.used[slot] === 1) return;
    this.used[slot] = 1;
    this.words[slot * 2] = a;
    this.words[slot * 2 + 1] = b;
    this.size++;
  }

  clear(): void {
    this.used.fill(0);
    this.size = 0;
  }

  private slotOf(a: number, b: number): number {
    const mixed = Math.imul(Math.imul(a, 0x9e37_79b1) ^ b, 0x85eb_ca6b);
    let slot = (mixed ^ (mixed >>> 13)) & this.mask;
    while (this.used[slot] === 1 && (this.words[slot * 2] !== a || this.words[slot * 2 + 1] !== b))
      slot = (slot + 1) & this.mask;
    return slot;
  }
}
