import { isDeepStrictEqual } from 'node:util';
import { table } from '../table.ts';
import { isObject } from './fields.ts';

/** Disagreements that are printed unless all are asked for. */
export const SHOWN = 20;

/** Who answered, and what. */
export type Side = readonly [who: string, answer: unknown];

interface Count {
  agreed: number;
  total: number;
}

/** Counts agreements by kind and by file, and prints disagreements with all sides as they come. */
export class Tally {
  readonly #write: (text: string) => void;
  readonly #kinds = new Map<string, Count>();
  readonly #files: { readonly name: string; readonly count: Count; cases: number }[] = [];
  readonly #sum: Count = { agreed: 0, total: 0 };
  #left: number;

  /** @param all print each disagreement */
  constructor(write: (text: string) => void, all: boolean) {
    this.#write = write;
    this.#left = all ? Number.POSITIVE_INFINITY : SHOWN;
  }

  /** What follows is of this file. */
  file(name: string): void {
    this.#files.push({ name, count: { agreed: 0, total: 0 }, cases: 0 });
  }

  /** One more case of the file. */
  case(): void {
    this.#files.at(-1)!.cases++;
  }

  /**
   * One thing that was asked: do both sides say the same?
   * @param theirs undefined: missing, which agrees with nothing
   * @param shown what to print instead, where the answers themselves tell too little
   */
  check(
    kind: string,
    place: string,
    ours: unknown,
    theirs: unknown,
    shown: readonly [unknown, unknown] = [ours, theirs],
  ): void {
    const agree = theirs !== undefined && isDeepStrictEqual(ours, theirs);
    this.count(kind, Number(agree), 1);
    if (!agree) this.disagreement(`${place}: ${kind}`, sidesOf(...shown));
  }

  /** The same for what is not asked for by itself, but follows from it: it counts only if it is wrong. */
  checkAlso(kind: string, place: string, ours: unknown, theirs: unknown): void {
    if (theirs === undefined || !isDeepStrictEqual(ours, theirs)) this.check(kind, place, ours, theirs);
  }

  /** Counted elsewhere. */
  count(kind: string, agreed: number, total: number): void {
    const ofKind = this.#kinds.get(kind) ?? { agreed: 0, total: 0 };
    this.#kinds.set(kind, ofKind);
    for (const count of [ofKind, this.#files.at(-1)!.count, this.#sum]) {
      count.agreed += agreed;
      count.total += total;
    }
  }

  disagreement(place: string, sides: readonly Side[]): void {
    if (this.#left-- <= 0) return;
    const width = Math.max(...sides.map(([who]) => who.length));
    const lines = sides.map(([who, answer]) => `  ${who.padEnd(width)}  ${textOf(answer)}\n`);
    this.#write(`${place}\n${lines.join('')}`);
  }

  /** The tables and, last, `agree A/B`. @returns whether A = B */
  finish(): boolean {
    if (this.#left < 0) this.#write(`${-this.#left} more disagreements; --all prints them\n`);
    const { agreed, total } = this.#sum;
    const ofKinds = [...this.#kinds].map(([kind, count]) => [kind, shareOf(count)]);
    const ofFiles = this.#files.map(({ name, count, cases }) => [shareOf(count), `${cases}`, name]);
    this.#write(table(['KIND', 'AGREE'], ofKinds));
    this.#write(`\n${table(['AGREE', 'CASES', 'FILE'], ofFiles)}`);
    this.#write(`agree ${agreed}/${total}\n`);
    return agreed === total;
  }
}

const shareOf = ({ agreed, total }: Count): string => `${agreed}/${total}`;

/** Of two lists only what is on one side; of two objects with lists only the fields that differ. */
function sidesOf(ours: unknown, theirs: unknown): Side[] {
  return [
    ['ciliate', differing(ours, theirs)],
    ['cilium', differing(theirs, ours)],
  ];
}

/** What of one side is not as on the other. */
function differing(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) {
    const texts = new Set(other.map(textOf));
    const alone = one.map(textOf).filter((text) => !texts.has(text));
    return `${one.length} in all, ${alone.length} only here${alone.map((text) => `\n    ${text}`).join('')}`;
  }
  if (!isObject(one) || !isObject(other) || !Object.values(one).some(Array.isArray)) return one;
  return Object.entries(one)
    .filter(([name, value]) => !isDeepStrictEqual(value, other[name]))
    .map(([name, value]) => `${name}: ${textOf(differing(value, other[name]))}`)
    .join('; ');
}

function textOf(answer: unknown): string {
  if (answer === undefined) return '(missing)';
  return typeof answer === 'string' ? answer : JSON.stringify(answer);
}
