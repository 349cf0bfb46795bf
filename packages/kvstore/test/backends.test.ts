import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Compare,
  type KeyValue,
  type KvstoreClient,
  Locks,
  type Operation,
  type TxnRequest,
  valueText,
  type Watch,
} from '../src/index.ts';
import { embedded, isInstalled, type RunningBackend, realEtcd, served } from './backends.ts';
import { expectedRange, keyOf, Model, type RangeOptions, rangeOptions, steps } from './range_model.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const BACKENDS: [name: string, start: () => Promise<RunningBackend>, isHere: boolean, numRuns: number][] = [
  ['the embedded store', embedded, true, 300],
  ['the embedded store over gRPC', served, true, 40],
  ['real etcd', realEtcd, isInstalled('etcd'), 25],
];

const put = (key: string, value: string): Operation => ({ type: 'put', key, value });
const text = (entry: KeyValue | undefined): string | undefined => entry && `${entry.key}=${valueText(entry)}`;

async function take(watch: Watch, count: number, base: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const events of watch) {
    for (const { type, entry, prev } of events)
      seen.push(
        `${entry.modRevision - base} ${type} ${text(entry)}${prev === undefined ? '' : ` was ${valueText(prev)}`}`,
      );
    if (seen.length >= count) break;
  }
  watch.close();
  return seen;
}

describe.each(BACKENDS)('%s', (_name, start, isHere, numRuns) => {
  describe.skipIf(!isHere)('(where it is installed)', () => {
    let backend: RunningBackend;
    let client: KvstoreClient;
    let tests = 0;
    beforeAll(async () => {
      backend = await start();
      client = backend.client();
    }, 30_000);
    afterAll(async () => {
      await client?.close();
      await backend?.stop();
    });
    /** Keys of this test alone, and the revision it starts at. */
    const begin = async () => ({ p: `t${tests++}/`, base: (await client.getPrefix('none')).revision });

    test('revisions, versions, and a delete of nothing', async () => {
      const { p, base } = await begin();
      expect(await client.put(`${p}a`, '1')).toBe(base + 1);
      expect(await client.put(`${p}a`, 'é')).toBe(base + 2);
      expect(await client.delete(`${p}b`)).toBe(false);
      expect(await client.createOnly(`${p}a`, '2')).toBe(false);
      const entry = (await client.get(`${p}a`))!;
      expect(text(entry)).toBe(`${p}a=é`);
      expect([entry.createRevision, entry.modRevision, entry.version]).toEqual([base + 1, base + 2, 2]);
      expect(await client.deletePrefix(p)).toBe(1);
      expect(await client.get(`${p}a`)).toBeUndefined();
      expect(text(await client.get(`${p}a`, { revision: base + 1 }))).toBe(`${p}a=1`);
    });

    test('a span may have no end, and values may be any bytes', async () => {
      const { p } = await begin();
      await client.put(`${p}x`, Uint8Array.of(0, 255, 10));
      const { entries } = await client.range({ from: `${p}x`, to: `${p}y` });
      expect([...entries[0]!.value]).toEqual([0, 255, 10]);
      const last = '\u{10ffff}';
      await client.put(last, 'last');
      expect((await client.range({ from: '\u{10fffe}' })).entries.map(text)).toEqual([`${last}=last`]);
      await client.delete(last);
    });

    // The store holds a (put twice) and b (put once, with a lease).
    const compares: [name: string, compare: (p: string, base: number, leaseId: bigint) => Compare, holds: boolean][] = [
      [
        'createRevision equals',
        (p, b) => ({ key: `${p}a`, target: 'createRevision', operator: '=', number: b + 1 }),
        true,
      ],
      ['modRevision is above', (p, b) => ({ key: `${p}a`, target: 'modRevision', operator: '>', number: b + 1 }), true],
      ['version differs', (p) => ({ key: `${p}a`, target: 'version', operator: '!=', number: 2 }), false],
      ['value is below', (p) => ({ key: `${p}a`, target: 'value', operator: '<', value: 'b' }), true],
      ['a missing key has version 0', (p) => ({ key: `${p}z`, target: 'version', operator: '=', number: 0 }), true],
      ['a missing key has no value', (p) => ({ key: `${p}z`, target: 'value', operator: '!=', value: 'x' }), false],
      ['the lease', (p, _b, leaseId) => ({ key: `${p}b`, target: 'lease', operator: '=', leaseId }), true],
      ['every key of a span', (p) => ({ prefix: p, target: 'version', operator: '>', number: 0 }), true],
      ['every key of a span, but one', (p) => ({ prefix: p, target: 'version', operator: '>', number: 1 }), false],
      ['a span without keys', (p) => ({ prefix: `${p}z`, target: 'version', operator: '>', number: 0 }), false],
    ];
    test.each(compares)('compare: %s', async (_compare, compare, holds) => {
      const { p, base } = await begin();
      const leaseId = await client.leaseGrant(60);
      await client.put(`${p}a`, '1');
      await client.put(`${p}a`, 'a');
      await client.put(`${p}b`, 'b', { leaseId });
      const { succeeded } = await client.txn({ compare: [compare(p, base, leaseId)], success: [] });
      expect(succeeded).toBe(holds);
      await client.leaseRevoke(leaseId);
    });

    test('a transaction: its writes share a revision, its reads see them, nested compares see what was before', async () => {
      const { p, base } = await begin();
      const request: TxnRequest = {
        compare: [],
        success: [
          put(`${p}a`, '1'),
          { type: 'get', prefix: p },
          {
            type: 'txn',
            request: {
              compare: [{ key: `${p}a`, target: 'version', operator: '=', number: 0 }],
              success: [put(`${p}b`, '2'), { type: 'delete', key: `${p}c` }],
              failure: [put(`${p}b`, '3')],
            },
          },
          { type: 'get', prefix: p, countOnly: true },
        ],
      };
      const { succeeded, revision, results } = await client.txn(request);
      expect([succeeded, revision]).toEqual([true, base + 1]);
      expect(results[1]!.entries.map(text)).toEqual([`${p}a=1`]);
      expect([results[2]!.txn!.succeeded, results[2]!.txn!.results[1]!.deleted]).toEqual([true, 0]);
      expect(results[3]!.count).toBe(2);
      expect(text(await client.get(`${p}b`))).toBe(`${p}b=2`);
    });

    const refused: [name: string, call: (c: KvstoreClient, p: string) => Promise<unknown>, code: string][] = [
      ['an empty key', (c) => c.put('', '1'), 'EMPTY_KEY'],
      [
        'a key put twice',
        (c, p) => c.txn({ compare: [], success: [put(`${p}a`, '1'), put(`${p}a`, '2')] }),
        'DUPLICATE_KEY',
      ],
      [
        'a key put in a nested transaction and deleted outside',
        (c, p) =>
          c.txn({
            compare: [],
            success: [
              { type: 'delete', prefix: p },
              { type: 'txn', request: { compare: [], success: [], failure: [put(`${p}a`, '2')] } },
            ],
          }),
        'DUPLICATE_KEY',
      ],
      ['a lease never granted', (c, p) => c.put(`${p}a`, '1', { leaseId: 7n }), 'LEASE_NOT_FOUND'],
      ['keeping alive what is not', (c) => c.leaseKeepAlive(7n), 'LEASE_NOT_FOUND'],
      ['revoking what is not', (c) => c.leaseRevoke(7n), 'LEASE_NOT_FOUND'],
      ['too long a lease', (c) => c.leaseGrant(9_000_000_001), 'LEASE_TTL_TOO_LARGE'],
      ['a revision to come', (c, p) => c.get(`${p}a`, { revision: 1e9 }), 'FUTURE_REVISION'],
      ['compacting what is to come', (c) => c.compact(1e9), 'FUTURE_REVISION'],
      ['keeping the value of what is not', (c, p) => c.put(`${p}a`, '', { ignoreValue: true }), 'KEY_NOT_FOUND'],
      ['a value and the old one', (c, p) => c.put(`${p}a`, '1', { ignoreValue: true }), 'VALUE_PROVIDED'],
      ['a lease and the old one', (c, p) => c.put(`${p}a`, '', { leaseId: 1n, ignoreLease: true }), 'LEASE_PROVIDED'],
      [
        'too many operations',
        (c, p) => c.txn({ compare: [], success: Array.from({ length: 129 }, (_, i) => put(`${p}${i}`, '')) }),
        'TOO_MANY_OPERATIONS',
      ],
    ];
    test.each(refused)('refused, and nothing written: %s', async (_call, call, code) => {
      const { p, base } = await begin();
      await expect(call(client, p)).rejects.toMatchObject({ code });
      expect((await client.getPrefix(p)).revision).toBe(base);
    });

    test('leases: keys, what is known of one, and revoking in one revision', async () => {
      const { p, base } = await begin();
      const leaseId = await client.leaseGrant(100);
      await client.put(`${p}b`, '1', { leaseId });
      await client.put(`${p}a`, '1', { leaseId });
      await client.put(`${p}c`, '1', { leaseId });
      await client.put(`${p}c`, '2'); // takes c off the lease
      await client.put(`${p}a`, '3', { ignoreLease: true });
      expect(await client.leaseKeepAlive(leaseId)).toBe(100);
      const info = (await client.leaseInfo(leaseId))!;
      expect([info.grantedTtlSeconds, info.keys]).toEqual([100, [`${p}a`, `${p}b`]]);
      expect(info.ttlSeconds).toBeGreaterThan(90);
      expect(await client.leases()).toContain(leaseId);
      await client.leaseRevoke(leaseId);
      expect(await client.leaseInfo(leaseId)).toBeUndefined();
      const watch = client.watch({ prefix: p, fromRevision: base + 6 });
      expect(await take(watch, 2, base)).toEqual([`6 delete ${p}a=`, `6 delete ${p}b=`]);
    });

    test('a watch: from the past, through the present, with what was before', async () => {
      const { p, base } = await begin();
      await client.put(`${p}a`, '1');
      await client.put(`${p}a`, '2');
      const watch = client.watch({ prefix: p, fromRevision: base + 1, prevKv: true });
      const seen = take(watch, 5, base);
      await client.txn({ compare: [], success: [put(`${p}b`, '3'), { type: 'delete', key: `${p}a` }] });
      await client.put(`${p}a`, '4');
      expect(await seen).toEqual([
        `1 put ${p}a=1`,
        `2 put ${p}a=2 was 1`,
        `3 put ${p}b=3`,
        `3 delete ${p}a= was 2`,
        `4 put ${p}a=4`,
      ]);
    });

    test('a watch of one key, and without one type of events', async () => {
      const { p, base } = await begin();
      await client.put(`${p}a`, '1');
      await client.put(`${p}ab`, '1');
      await client.delete(`${p}a`);
      await client.put(`${p}a`, '2');
      const of = (more: object) => client.watch({ key: `${p}a`, fromRevision: base + 1, ...more });
      expect(await take(of({ without: ['delete'] }), 2, base)).toEqual([`1 put ${p}a=1`, `4 put ${p}a=2`]);
      expect(await take(of({ without: ['put'] }), 1, base)).toEqual([`3 delete ${p}a=`]);
    });

    test('large and many events arrive whole', async () => {
      const { p, base } = await begin();
      for (let i = 0; i < 6; i++) await client.put(`${p}${i}`, 'x'.repeat(900_000));
      const seen = await take(client.watch({ prefix: p, fromRevision: base + 1 }), 6, base);
      expect(seen.map((line) => line.length > 900_000)).toEqual([true, true, true, true, true, true]);
    });

    test('a request above 1.5 MiB is refused', async () => {
      const { p } = await begin();
      const isLocal = backend.endpoint === undefined; // in one process nothing has to be carried
      const large = client.put(`${p}a`, 'x'.repeat(1.6 * 1024 * 1024));
      if (isLocal) await large;
      else await expect(large).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
    });

    test('locks: one holder at a time', async () => {
      const { p } = await begin();
      const others = [new Locks(client), new Locks(client)];
      let holders = 0;
      const most: number[] = [];
      const use = async (locks: Locks) => {
        const lock = await locks.lock(`${p}lock`);
        most.push(++holders);
        await client.get(p);
        holders--;
        await lock.unlock();
      };
      await Promise.all([use(others[0]!), use(others[1]!), use(others[0]!), use(others[1]!)]);
      expect(most).toEqual([1, 1, 1, 1]);
    });

    test('compaction: the past is gone, for reads and for watches', async () => {
      const { p, base } = await begin();
      for (let i = 1; i <= 4; i++) await client.put(`${p}a`, `${i}`);
      await client.compact(base + 3);
      await expect(client.compact(base + 3)).rejects.toMatchObject({ code: 'COMPACTED' });
      await expect(client.get(`${p}a`, { revision: base + 2 })).rejects.toMatchObject({ code: 'COMPACTED' });
      expect(text(await client.get(`${p}a`, { revision: base + 3 }))).toBe(`${p}a=3`);
      await expect(take(client.watch({ key: `${p}a`, fromRevision: base + 1 }), 1, base)).rejects.toMatchObject({
        code: 'COMPACTED',
      });
      expect(await take(client.watch({ key: `${p}a`, fromRevision: base + 4 }), 1, base)).toEqual([`4 put ${p}a=4`]);
    });

    test('a closed client refuses calls and ends its watches', async () => {
      const { p } = await begin();
      const other = backend.client();
      const ended = take(other.watch({ prefix: p }), 1, 0);
      await other.close();
      expect(await ended).toEqual([]);
      await expect(other.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
    });

    test('ranges answer as a plain list of versions would, whatever is asked of any revision held', async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.array(rangeOptions, { minLength: 1, maxLength: 8 }), async (done, asked) => {
          const { p, base } = await begin();
          const model = new Model(base);
          for (const step of done) {
            const writes = step.map(
              ({ key, value }): Operation =>
                value === undefined ? { type: 'delete', key: p + keyOf(key) } : put(p + keyOf(key), value),
            );
            const { revision } = await client.txn({ compare: [], success: writes });
            expect(revision).toBe(model.write(step));
          }
          for (const options of asked) await check(client, p, base, model, options);
        }),
        { seed, numRuns },
      );
    }, 60_000);
  });
});

async function check(
  client: KvstoreClient,
  p: string,
  base: number,
  model: Model,
  options: RangeOptions,
): Promise<void> {
  const { at, ...rest } = options;
  const revision = at === undefined ? undefined : Math.min(base + at, model.revision);
  const bounds = Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [name, /Revision$/.test(name) ? base + Number(value) : value]),
  );
  const answer = await client.getPrefix(p, { ...bounds, ...(revision === undefined ? {} : { revision }) });
  const shown = answer.entries.map((e) => [
    e.key.slice(p.length),
    valueText(e),
    e.createRevision - base,
    e.modRevision - base,
    e.version,
  ]);
  const expected = expectedRange(model, options);
  expect({ entries: shown, count: answer.count, more: answer.more }).toEqual(expected);
}
