import type { EndpointSelector, Label, Labels } from '@ciliate/labels';
import { PrefixIndex } from './prefix_index.ts';

/**
 * Something that a label set must have before a selector can match it, as a text: `=key value` or `?key`, or the key
 * of a `cidr:` label, within which the set must have one. What a selector asks for besides is left to the selector.
 */
type Trait = string;

const CIDR = 'cidr.';
const exists = (key: string): Trait => `?${key}`;
const equals = (key: string, value: string): Trait => `=${key} ${value}`;

/** One requirement of a selector: it needs one of these traits. undefined: it needs none that can be looked up. */
export type Need = readonly Trait[] | undefined;

/** The requirements of a selector that only some labels meet. */
function needsOf(selector: EndpointSelector): Trait[][] {
  const needs: Trait[][] = [];
  const add = (extended: string, values: readonly string[] | undefined): void => {
    const dot = extended.indexOf('.');
    if (extended.startsWith(CIDR)) needs.push([extended]);
    else if (dot >= 0) {
      const key = extended.slice(dot + 1);
      needs.push(values === undefined ? [exists(key)] : [...new Set(values)].map((value) => equals(key, value)));
    }
  };
  for (const [key, value] of selector.matchLabels) add(key, [value]);
  for (const { key, operator, values } of selector.matchExpressions) {
    if (operator === 'In') add(key, values);
    else if (operator === 'Exists') add(key, undefined);
  }
  return needs;
}

/** Values by trait. */
class TraitIndex<T> {
  readonly #byTrait = new Map<Trait, Set<T>>();
  readonly prefixes = new PrefixIndex<T>();

  add(trait: Trait, value: T): void {
    if (trait.startsWith(CIDR)) this.prefixes.add(trait.slice(CIDR.length), value);
    else {
      const values = this.#byTrait.get(trait);
      if (values === undefined) this.#byTrait.set(trait, new Set([value]));
      else values.add(value);
    }
  }

  delete(trait: Trait, value: T): void {
    if (trait.startsWith(CIDR)) this.prefixes.delete(trait.slice(CIDR.length), value);
    const values = this.#byTrait.get(trait);
    values?.delete(value);
    if (values?.size === 0) this.#byTrait.delete(trait);
  }

  get(trait: Trait): ReadonlySet<T> {
    return this.#byTrait.get(trait) ?? NOTHING;
  }
}

const NOTHING: ReadonlySet<never> = new Set();

function traitsOf(labels: Iterable<Label>): Trait[] {
  const traits: Trait[] = [];
  for (const { source, key, value } of labels) {
    if (source === 'cidr') traits.push(CIDR + key);
    traits.push(exists(key), equals(key, value));
  }
  return traits;
}

/** Label sets by number, found by what selectors ask for. */
export class IdentityIndex {
  readonly #labels = new Map<number, Labels>();
  readonly #index = new TraitIndex<number>();

  get(identity: number): Labels | undefined {
    return this.#labels.get(identity);
  }

  entries(): Iterable<readonly [identity: number, labels: Labels]> {
    return this.#labels;
  }

  set(identity: number, labels: Labels): void {
    this.delete(identity);
    this.#labels.set(identity, labels);
    for (const trait of traitsOf(labels)) this.#index.add(trait, identity);
  }

  delete(identity: number): void {
    for (const trait of traitsOf(this.#labels.get(identity) ?? NO_LABELS)) this.#index.delete(trait, identity);
    this.#labels.delete(identity);
  }

  /** Numbers of the label sets that a selector matches, ascending. */
  select(selector: EndpointSelector): number[] {
    const found: number[] = [];
    for (const identity of this.#candidates(this.rarestNeed(selector))) {
      if (selector.matches(this.#labels.get(identity)!)) found.push(identity);
    }
    return found.sort((a, b) => a - b);
  }

  /** The need of a selector that the fewest label sets meet. Of a prefix that is not known without searching. */
  rarestNeed(selector: EndpointSelector): Need {
    let rarest: Need;
    let fewest = Number.POSITIVE_INFINITY;
    for (const need of needsOf(selector)) {
      if (need[0]?.startsWith(CIDR)) return need;
      const count = need.reduce((sum, trait) => sum + this.#index.get(trait).size, 0);
      if (count < fewest) [rarest, fewest] = [need, count];
    }
    return rarest;
  }

  /** None twice: a label set has one value for a key. */
  *#candidates(need: Need): Iterable<number> {
    if (need === undefined) yield* this.#labels.keys();
    for (const trait of need ?? []) {
      if (trait.startsWith(CIDR)) yield* new Set(this.#index.prefixes.within(trait.slice(CIDR.length)));
      else yield* this.#index.get(trait);
    }
  }
}

const NO_LABELS: Iterable<never> = [];

/** Selectors, found by the labels they may match. */
export class SelectorIndex<T> {
  readonly #index = new TraitIndex<T>();
  readonly #withoutNeed = new Set<T>();

  add(value: T, need: Need): void {
    if (need === undefined) this.#withoutNeed.add(value);
    for (const trait of need ?? []) this.#index.add(trait, value);
  }

  delete(value: T, need: Need): void {
    this.#withoutNeed.delete(value);
    for (const trait of need ?? []) this.#index.delete(trait, value);
  }

  /** Every selector that may match these labels, none twice. */
  *candidates(labels: Labels): Iterable<T> {
    for (const trait of traitsOf(labels)) {
      if (trait.startsWith(CIDR)) yield* this.#index.prefixes.containing(trait.slice(CIDR.length));
      else yield* this.#index.get(trait);
    }
    yield* this.#withoutNeed;
  }
}
