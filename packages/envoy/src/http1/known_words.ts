const LOWER = 0x20;
const SLOTS = 512;

interface Word {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/**
 * Words that are found among bytes, without making a string of them first: to ask a Map or a Set for a new string costs more
 * than all else that is done with a header.
 */
export class KnownWords {
  /** By length and three of their characters. */
  readonly #slots: (Word[] | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #fold: number;

  /** @param words of letters and hyphens @param anyCase all of them are in lower case, and found in any */
  constructor(words: readonly string[], anyCase: boolean) {
    this.#fold = anyCase ? LOWER : 0;
    for (const text of words) {
      const bytes = Buffer.from(text, 'latin1');
      const slot = slotOf(bytes, 0, bytes.length);
      this.#slots[slot] = [...(this.#slots[slot] ?? []), { text, bytes }];
    }
  }

  /** @param from there is at least one byte @returns the word that these bytes are */
  find(bytes: Uint8Array, from: number, to: number): string | undefined {
    const slot = this.#slots[slotOf(bytes, from, to)];
    if (slot === undefined) return undefined;
    for (let n = 0; n < slot.length; n++) if (this.#is(slot[n]!.bytes, bytes, from, to)) return slot[n]!.text;
    return undefined;
  }

  #is(word: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
    if (word.length !== to - from) return false;
    for (let n = 0; n < word.length; n++) if ((bytes[from + n]! | this.#fold) !== word[n]) return false;
    return true;
  }
}

function slotOf(bytes: Uint8Array, from: number, to: number): number {
  const [first, middle, last] = [bytes[from]! | LOWER, bytes[(from + to) >> 1]! | LOWER, bytes[to - 1]! | LOWER];
  return (Math.imul(to - from, 77) + Math.imul(first, 31) + Math.imul(middle, 5) + last) & (SLOTS - 1);
}
