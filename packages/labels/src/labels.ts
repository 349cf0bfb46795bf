import { type CidrPrefix, cidrContains, parseCidrKey } from './cidr.ts';
import { compareBytes, formatLabel, formatLabelForKvstore, type Label, parseLabel } from './label.ts';

/**
 * An immutable set of labels, keyed by key alone: of two labels with the same key and different sources the later one
 * stays. Iteration is in byte order of the keys. Source: pkg/labels/labels.go, `Labels`.
 */
export class Labels {
  static readonly none: Labels = new Labels([]);
  readonly #byKey: ReadonlyMap<string, Label>;
  #sortedList: string | undefined;
  #cidrs: readonly { label: Label; prefix: CidrPrefix }[] | undefined;

  private constructor(labels: Iterable<Label>) {
    const byKey = new Map<string, Label>();
    for (const label of labels) byKey.set(label.key, label);
    this.#byKey = new Map([...byKey].sort(([a], [b]) => compareBytes(a, b)));
  }

  static of(labels: Iterable<Label>): Labels {
    return new Labels(labels);
  }

  /** From texts such as `k8s:app=web`; a text without a key adds nothing. */
  static parse(texts: Iterable<string>): Labels {
    return new Labels([...texts].map(parseLabel).filter((label) => label.key !== ''));
  }

  /** From the key-value store's form, `k8s:a=1;k8s:b=;`. A value that holds `;` does not survive the round trip. */
  static fromSortedList(list: string): Labels {
    return Labels.parse(list.split(';'));
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Label | undefined {
    return this.#byKey.get(key);
  }

  /** Is there a label with this key and source? `any` stands for every source. */
  has(source: string, key: string): boolean {
    const label = this.#byKey.get(key);
    return label !== undefined && (source === 'any' || label.source === source);
  }

  /** The first label of source `cidr` that names an address block within this one. */
  within(prefix: CidrPrefix): Label | undefined {
    this.#cidrs ??= [...this].flatMap((label) => {
      const prefix = label.source === 'cidr' ? parseCidrKey(label.key) : undefined;
      return prefix === undefined ? [] : [{ label, prefix }];
    });
    return this.#cidrs.find((own) => cidrContains(prefix, own.prefix))?.label;
  }

  [Symbol.iterator](): IterableIterator<Label> {
    return this.#byKey.values();
  }

  equals(other: Labels): boolean {
    return this.sortedList() === other.sortedList();
  }

  /** The key-value store's form: every label as `source:key=value;`, sorted by the bytes of the key. */
  sortedList(): string {
    this.#sortedList ??= [...this].map(formatLabelForKvstore).join('');
    return this.#sortedList;
  }

  /** Each label as `k8s:app=web`, sorted by text, as Hubble and `cilium identity list` print them. */
  toStrings(): string[] {
    return [...this].map(formatLabel).sort(compareBytes);
  }

  toString(): string {
    return this.toStrings().join(',');
  }
}
