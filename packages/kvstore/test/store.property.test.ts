import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EmbeddedStore, type KvstoreClient, valueText, type WatchEvent } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const SECOND = 1_000_000_000n;
const key = fc.constantFrom('a', 'a/b', 'a/c', 'b', 'b/é', 'b/\uffff', 'b/\u{1f600}');
const prefix = fc.constantFrom('a', 'a/', 'b', '');
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), key, leased: fc.boolean() }),
  fc.record({ do: fc.constant('createOnly' as const), key }),
  fc.record({ do: fc.constant('delete' as const), key }),
  fc.record({ do: fc.constant('deletePrefix' as const), prefix }),
  fc.record({ do: fc.constant('tick' as const), seconds: fc.integer({ min: 0, max: 8 }) }),
  fc.record({ do: fc.constant('keepAlive' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Pair {
  value: string;
  created: number;
  modified: number;
  version: number;
  leased: boolean;
}

/** The store as a plain Map, one lease of 10 s that is granted anew when it is missing, and the log of what changed. */
class Model {
  readonly pairs = new Map<string, Pair>();
  readonly log: string[] = [];
  revision = 1;
  now = 0;
  leaseEnd: number | undefined;

  write(changes: (revision: number) => string[]): void {
    const told = changes(this.revision + 1);
    if (told.length > 0) this.revision++;
    this.log.push(...told.map((text) => `${this.revision} ${text}`));
  }

  put(key: string, value: string, leased: boolean): void {
    this.write((revision) => {
      const before = this.pairs.get(key);
      const created = before?.created ?? revision;
      this.pairs.set(key, { value, created, modified: revision, version: (before?.version ?? 0) + 1, leased });
      return [`put ${key} ${value}`];
    });
  }

  delete(keys: string[]): void {
    this.write(() => {
      const gone = keys
        .filter((key) => this.pairs.delete(key))
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      return gone.map((key) => `delete ${key} `);
    });
  }

  tick(seconds: number): void {
    this.now += seconds;
    if (this.leaseEnd === undefined || this.now < this.leaseEnd) return;
    this.leaseEnd = undefined;
    this.delete([...this.pairs].filter(([, pair]) => pair.leased).map(([key]) => key));
  }
}

const told = (events: WatchEvent[]) =>
  events.map(({ type, entry }) => `${entry.modRevision} ${type} ${entry.key} ${valueText(entry)}`);

async function run(client: KvstoreClient, model: Model, clock: { now: bigint }, steps: Step[]): Promise<void> {
  let leaseId: bigint | undefined;
  for (const [index, s] of steps.entries()) {
    const value = `${index}`;
    switch (s.do) {
      case 'put':
        if (s.leased && model.leaseEnd === undefined) {
          leaseId = await client.leaseGrant(10);
          model.leaseEnd = model.now + 10;
        }
        await client.put(s.key, value, s.leased ? { leaseId: leaseId! } : {});
        model.put(s.key, value, s.leased);
        break;
      case 'createOnly':
        expect(await client.createOnly(s.key, value)).toBe(!model.pairs.has(s.key));
        if (!model.pairs.has(s.key)) model.put(s.key, value, false);
        break;
      case 'delete':
        expect(await client.delete(s.key)).toBe(model.pairs.has(s.key));
        model.delete([s.key]);
        break;
      case 'deletePrefix': {
        const under = [...model.pairs.keys()].filter((k) => k.startsWith(s.prefix));
        expect(await client.deletePrefix(s.prefix)).toBe(under.length);
        model.delete(under);
        break;
      }
      case 'tick':
        clock.now += BigInt(s.seconds) * SECOND;
        model.tick(s.seconds);
        break;
      case 'keepAlive':
        if (model.leaseEnd === undefined) break;
        expect(await client.leaseKeepAlive(leaseId!)).toBe(10);
        model.leaseEnd = model.now + 10;
    }
    const { entries, revision } = await client.getPrefix('');
    const shown = entries.map((e) => [e.key, valueText(e), e.createRevision, e.modRevision, e.version]);
    const expected = [...model.pairs].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(shown).toEqual(expected.map(([k, p]) => [k, p.value, p.created, p.modified, p.version]));
    expect(revision).toBe(model.revision);
  }
}

test('the store answers as a plain Map would, and watches tell exactly what changed, from any revision, in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(45), prefix, async (steps, from, watched) => {
      const clock = { now: 0n };
      const store = new EmbeddedStore({ nowNs: () => clock.now });
      const model = new Model();
      const live: string[] = [];
      const reader = store.client();
      const reading = (async () => {
        for await (const events of reader.watch({ prefix: watched, fromRevision: 1 })) live.push(...told(events));
      })();
      await run(store.client(), model, clock, steps);

      const wanted = model.log.filter((line) => line.split(' ')[2]!.startsWith(watched));
      await new Promise((resolve) => setImmediate(resolve)); // lets the live reader catch up
      expect(live).toEqual(wanted);

      const resumed: string[] = [];
      const late = store.client();
      const resuming = (async () => {
        for await (const events of late.watch({ prefix: watched, fromRevision: from })) resumed.push(...told(events));
      })();
      await new Promise((resolve) => setImmediate(resolve));
      expect(resumed).toEqual(wanted.filter((line) => Number(line.split(' ')[0]) >= from));
      await Promise.all([reader.close(), late.close(), reading, resuming]);
    }),
    { seed, numRuns: 200 },
  );
});
