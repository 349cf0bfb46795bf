import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DurableStoreOptions, EmbeddedStore } from '../src/index.ts';
import { randomFrom } from './random.ts';
import { type Faults, SimDisk } from './sim_disk.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const open = (disk: SimDisk, more: Partial<DurableStoreOptions> = {}) =>
  EmbeddedStore.open({ disk, nowNs: () => 0n, salt: () => 7, snapshotBytes: 1500, heldEvents: 6, ...more });

/** What a store was at each of its revisions: as text, so that it compares. */
class Expected {
  readonly at = new Map<number, string>([[1, '']]);
  readonly pairs = new Map<string, string>();
  issued = 1;
  /** The newest revision that somebody was told of, by an answer, a read or a watch. */
  told = 1;

  write(change: () => boolean): void {
    if (!change()) return;
    this.issued++;
    this.at.set(this.issued, text([...this.pairs]));
  }

  tell(revision: number): void {
    this.told = Math.max(this.told, revision);
  }

  /** A new life begins at what the store recovered. */
  restart(revision: number, pairs: [string, string][]): void {
    this.issued = this.told = revision;
    this.pairs.clear();
    for (const [key, value] of pairs) this.pairs.set(key, value);
  }
}

const text = (pairs: [string, string][]): string =>
  pairs
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(' ');

async function contents(store: EmbeddedStore): Promise<{ revision: number; pairs: [string, string][] }> {
  const { entries, revision } = await store.range({ key: '\0', end: '\0' });
  return { revision, pairs: entries.map((version) => [version.key, version.value]) };
}

/** Bursts of writes until they are all answered or the power goes. Writes of one burst share syncs. */
async function live(store: EmbeddedStore, expected: Expected, random: () => number, bursts: number): Promise<void> {
  const pick = (count: number) => Math.floor(random() * count);
  const watch = store.watch({ key: '\0', end: '\0', fromRevision: 0 });
  const watching = (async () => {
    for (let batch = await watch.next(); batch !== undefined; batch = await watch.next()) expected.tell(batch.revision);
  })();
  watching.catch(() => {});
  for (let burst = 0; burst < bursts && store.failure === undefined; burst++) {
    const calls: Promise<void>[] = [];
    for (let i = pick(4); i >= 0; i--) {
      const key = `k${pick(5)}`;
      const value = `${burst}-${i}-`.padEnd(pick(2) * 700 + 8, 'v');
      const tell = ({ revision }: { revision: number }) => expected.tell(revision);
      if (pick(4) > 0) {
        calls.push(store.put({ key, value, leaseId: 0n }).then(tell));
        expected.write(() => expected.pairs.set(key, value) !== undefined);
      } else {
        calls.push(store.deleteRange({ key, end: '' }).then(tell));
        expected.write(() => expected.pairs.delete(key));
      }
      if (pick(3) === 0) calls.push(store.range({ key, end: '' }).then(tell));
    }
    await Promise.allSettled(calls);
  }
  watch.close();
}

/** Life after life on one disk. @returns what was wrong, or undefined */
async function livesOn(start: number, cuts: readonly number[], lies: boolean): Promise<string | undefined> {
  const random = randomFrom(start);
  const expected = new Expected();
  let disk = new SimDisk({ cutAt: cuts[0]!, lies });
  for (const [life] of cuts.entries()) {
    try {
      await live(await open(disk), expected, random, 30);
    } catch {
      // The power went while the store was opening.
    }
    const next: Faults = { lies };
    if (life + 1 < cuts.length) next.cutAt = cuts[life + 1]!;
    const found = disk.afterPowerCut(random);
    const store = await open(found).catch((error: Error) => error);
    if (store instanceof Error) return `life ${life}: ${store.message}`;
    const { revision, pairs } = await contents(store);
    if (revision < expected.told) return `life ${life}: ${expected.told} was told of, ${revision} was found`;
    if (text(pairs) !== expected.at.get(revision)) return `life ${life}: at ${revision} found ${text(pairs)}`;
    expected.restart(revision, pairs);
    await store.close();
    disk = found.afterPowerCut(random, next);
  }
  return undefined;
}

test('nothing that was told of is undone, and nothing else appears, at whatever write the power goes', async () => {
  for (let cutAt = 1; cutAt <= 120; cutAt++)
    expect([cutAt, await livesOn(seed + cutAt, [cutAt], false)]).toEqual([cutAt, undefined]);
});

test('nor when the power goes again and again', async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.nat(0x7fffffff), cuts, async (start, lives) => {
      expect(await livesOn(start, lives, false)).toBeUndefined();
    }),
    { seed, numRuns: 60 },
  );
});

test('the same test finds a store whose syncs do nothing', async () => {
  const verdicts: (string | undefined)[] = [];
  for (let cutAt = 20; cutAt < 60; cutAt++) verdicts.push(await livesOn(seed + cutAt, [cutAt], true));
  expect(verdicts.filter((verdict) => verdict !== undefined).length).toBeGreaterThan(20);
});
