import fc from 'fast-check';

/** A step is a transaction: each key at most once; no value: it is deleted. */
const KEYS = ['a', 'a/b', 'b', 'b/é', 'b/\uffff', 'b/\u{1f600}'];
export const keyOf = (index: number): string => KEYS[index]!;

const write = fc.record({
  key: fc.nat(KEYS.length - 1),
  value: fc.option(fc.constantFrom('', 'x', 'y', 'zz'), { nil: undefined }),
});
const step = fc.uniqueArray(write, { minLength: 1, maxLength: 3, selector: ({ key }) => key });
export const steps = fc.array(step, { maxLength: 12 });
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Revisions count from the start of the test. Sorted by what is unique for each key at one time, ties being free. */
export const rangeOptions = fc.record(
  {
    at: fc.integer({ min: 1, max: 12 }),
    limit: fc.integer({ min: 1, max: 4 }),
    order: fc.constantFrom('ascending' as const, 'descending' as const),
    sortBy: fc.constantFrom('key' as const, 'modRevision' as const, 'value' as const, 'version' as const),
    keysOnly: fc.boolean(),
    countOnly: fc.boolean(),
    minModRevision: fc.integer({ min: 1, max: 8 }),
    maxModRevision: fc.integer({ min: 1, max: 12 }),
    minCreateRevision: fc.integer({ min: 1, max: 8 }),
    maxCreateRevision: fc.integer({ min: 1, max: 12 }),
  },
  { requiredKeys: [] },
);
export type RangeOptions = typeof rangeOptions extends fc.Arbitrary<infer T> ? T : never;

type Row = [key: string, value: string, created: number, modified: number, version: number];

/** Every state since the start, whole. */
export class Model {
  readonly #base: number;
  readonly states: Map<string, Row>[] = [new Map()];

  constructor(base: number) {
    this.#base = base;
  }

  get revision(): number {
    return this.#base + this.states.length - 1;
  }

  /** @returns the revision after it */
  write(done: Step): number {
    const before = this.states.at(-1)!;
    const after = new Map(before);
    const now = this.states.length;
    let changed = false;
    for (const { key: index, value } of done) {
      const key = keyOf(index);
      const old = before.get(key);
      if (value !== undefined) after.set(key, [key, value, old?.[2] ?? now, now, (old?.[4] ?? 0) + 1]);
      else after.delete(key);
      if (value !== undefined || old !== undefined) changed = true;
    }
    if (changed) this.states.push(after);
    return this.revision;
  }
}

const COLUMN = { key: 0, value: 1, modRevision: 3, version: 4 } as const;
const bytes = (value: string | number) => (typeof value === 'number' ? value : Buffer.from(value).toString('latin1'));

export function expectedRange(model: Model, options: RangeOptions): { entries: Row[]; count: number; more: boolean } {
  const newest = model.states.length - 1;
  const state = model.states[Math.min(options.at ?? newest, newest)]!;
  const all = [...state.values()].sort((a, b) => (bytes(a[0]) < bytes(b[0]) ? -1 : 1));
  if (options.countOnly) return { entries: [], count: all.length, more: false };
  const { minModRevision = 0, maxModRevision = 99, minCreateRevision = 0, maxCreateRevision = 99 } = options;
  const wanted = all.filter(
    ([, , c, m]) => m >= minModRevision && m <= maxModRevision && c >= minCreateRevision && c <= maxCreateRevision,
  );
  const column = COLUMN[options.sortBy ?? 'key'];
  const sign = options.order === 'descending' ? -1 : 1;
  wanted.sort((a, b) => (bytes(a[column]) < bytes(b[column]) ? -sign : bytes(a[column]) > bytes(b[column]) ? sign : 0));
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const entries = wanted
    .slice(0, limit)
    .map((row): Row => (options.keysOnly ? [row[0], '', row[2], row[3], row[4]] : row));
  return { entries, count: all.length, more: wanted.length > limit };
}
