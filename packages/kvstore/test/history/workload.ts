import { type KvstoreClient, KvstoreError, type Operation, valueText } from '../../src/index.ts';
import { type LeaseStory, Recorder, type WatchStory } from './history.ts';
import type { KeyInput, KeyOutput } from './register.ts';
import { LEASED } from './violations.ts';

const KEYS = 6;
const LEASE_SECONDS = 2;
const PAUSE_MS = 20;
const LAST_KEY = 'last';

/** While its server is killed a client may be told that it is out of reach, and what transports make of a dead peer. */
export const isOutage = (error: unknown): boolean =>
  error instanceof KvstoreError &&
  (error.code === 'UNAVAILABLE' ||
    (error.code === 'REFUSED' && TRANSPORT.includes((error.cause as { code: number }).code)));

/** CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL. */
const TRANSPORT = [1, 2, 4, 13];

/** Milliseconds. */
export interface Clock {
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
}

/** Clients of one store that write, read, delete, swap, hold leases, watch and compact until they are stopped. */
export class Workload {
  readonly #clock: Clock;
  readonly recorder = new Recorder();
  readonly leases: LeaseStory[] = [];
  readonly watches: WatchStory[] = [];
  readonly #random: () => number;
  readonly #isUnknown: (error: unknown) => boolean;
  #isOver = false;
  #values = 0;
  acknowledged = 0;
  compactions = 0;

  constructor(random: () => number, clock: Clock, isUnknown = isOutage) {
    this.#clock = clock;
    this.#random = random;
    this.#isUnknown = isUnknown;
  }

  stop(): void {
    this.#isOver = true;
  }

  /** One thing after the other. */
  async write(client: KvstoreClient): Promise<void> {
    while (!this.#isOver) {
      if (await this.#once(client)) this.acknowledged++;
      else await this.#clock.sleep(PAUSE_MS);
    }
  }

  async #once(client: KvstoreClient): Promise<boolean> {
    const key = `k${this.#pick(KEYS)}`;
    const dice = this.#pick(100);
    if (dice < 30) return this.#txn(client, [{ key, input: { type: 'put', value: this.#value() } }]);
    if (dice < 40) return this.#txn(client, [{ key, input: { type: 'delete' } }]);
    if (dice < 48) {
      const other = `k${(Number(key.slice(1)) + 1) % KEYS}`;
      const both = [key, other].map((k) => ({ key: k, input: { type: 'put' as const, value: this.#value() } }));
      return this.#txn(client, both);
    }
    if (dice < 65) return this.#swap(client, key);
    const run = async () => {
      const { revision, entries } = await client.range({ key });
      const entry = entries[0];
      const output: KeyOutput = { type: 'get', value: entry === undefined ? null : valueText(entry) };
      return { revision, outputs: [entry === undefined ? { output } : { output, modRevision: entry.modRevision }] };
    };
    return this.recorder.record([{ key, input: { type: 'get' } }], run, this.#isUnknown);
  }

  #txn(client: KvstoreClient, inputs: { key: string; input: KeyInput }[]): Promise<boolean> {
    const success = inputs.map(
      ({ key, input }): Operation =>
        input.type === 'put' ? { type: 'put', key, value: input.value } : { type: 'delete', key },
    );
    const run = async () => {
      const { revision, results } = await client.txn({ compare: [], success });
      const outputs = inputs.map(({ input }, i): { output: KeyOutput } => ({
        output: input.type === 'put' ? { type: 'put' } : { type: 'delete', deleted: results[i]!.deleted > 0 },
      }));
      return { revision, outputs };
    };
    return this.recorder.record(inputs, run, this.#isUnknown);
  }

  /** A transaction on what was there a moment ago: now and then it has changed since. */
  async #swap(client: KvstoreClient, key: string): Promise<boolean> {
    let expected: string | null;
    try {
      const found = await client.get(key);
      expected = found === undefined ? null : valueText(found);
    } catch (error) {
      if (!this.#isUnknown(error)) throw error;
      return false;
    }
    const value = this.#value();
    const run = async () => {
      const { revision, succeeded, results } = await client.txn({
        compare: [
          expected === null
            ? { key, target: 'createRevision', operator: '=', number: 0 }
            : { key, target: 'value', operator: '=', value: expected },
        ],
        success: [{ type: 'put', key, value }],
        failure: [{ type: 'get', key }],
      });
      const entry = results[0]?.entries[0];
      const output: KeyOutput = succeeded
        ? { type: 'swap', succeeded }
        : { type: 'swap', succeeded, found: entry === undefined ? null : valueText(entry) };
      return { revision, outputs: [{ output }] };
    };
    return this.recorder.record([{ key, input: { type: 'swap', expected, value } }], run, this.#isUnknown);
  }

  /** Leases, one after the other: granted, kept alive for a while, then left to end; some are revoked. */
  async lease(client: KvstoreClient): Promise<void> {
    while (!this.#isOver) {
      try {
        const granted = this.#clock.now();
        const leaseId = await client.leaseGrant(LEASE_SECONDS);
        const key = `${LEASED}${this.#value()}`;
        const story = { key, ttlMs: LEASE_SECONDS * 1000, renewedAt: granted, isRevoked: false };
        this.leases.push(story);
        await client.put(key, '', { leaseId });
        for (let times = this.#pick(4); times > 0; times--) {
          await this.#clock.sleep(this.#pick(400));
          const sent = this.#clock.now();
          await client.leaseKeepAlive(leaseId);
          story.renewedAt = sent;
        }
        if (this.#pick(3) > 0) continue;
        story.isRevoked = true;
        await client.leaseRevoke(leaseId);
      } catch (error) {
        if (!this.#isUnknown(error) && !isGone(error)) throw error;
        await this.#clock.sleep(PAUSE_MS);
      }
    }
  }

  /** Gives up, now and then, what all watches have been told: none may miss anything by that. */
  async compact(client: KvstoreClient): Promise<void> {
    let compacted = 1;
    while (!this.#isOver) {
      await this.#clock.sleep(this.#pick(100));
      const told = Math.min(...this.watches.map(({ batches }) => batches.at(-1)?.at(-1)?.revision ?? 1));
      if (told === compacted) continue;
      try {
        await client.compact(told);
        this.compactions++;
      } catch (error) {
        // One that nobody was told of may have been done.
        const isDone = error instanceof KvstoreError && error.code === 'COMPACTED';
        if (!isDone && !this.#isUnknown(error)) this.recorder.surprises.push(String(error));
      }
      compacted = told;
    }
  }

  /** The last write of all, by which watches know that they are done. */
  async end(client: KvstoreClient): Promise<void> {
    await this.#txn(client, [{ key: LAST_KEY, input: { type: 'put', value: this.#value() } }]);
  }

  /** A watch of everything until the end. @param isResumed close it now and then, and go on after what was told */
  async watch(client: KvstoreClient, isResumed: boolean): Promise<void> {
    const story: WatchStory = { fromRevision: 2, batches: [] };
    this.watches.push(story);
    let told = 1;
    let isOver = false;
    while (!isOver) {
      const watch = client.watch({ prefix: '', fromRevision: told + 1 });
      let left = isResumed ? 1 + this.#pick(40) : Number.POSITIVE_INFINITY;
      for await (const events of watch) {
        told = events.at(-1)!.entry.modRevision;
        isOver = events.at(-1)!.entry.key === LAST_KEY;
        story.batches.push(
          events.map(({ type, entry }) => {
            if (type === 'delete') this.#ended(entry.key);
            return { revision: entry.modRevision, type, key: entry.key, value: valueText(entry) };
          }),
        );
        if (--left === 0 || isOver) break;
      }
      watch.close();
    }
  }

  #ended(key: string): void {
    const lease = key.startsWith(LEASED) ? this.leases.find((story) => story.key === key) : undefined;
    if (lease !== undefined) lease.endedAt ??= this.#clock.now();
  }

  #pick = (count: number): number => Math.floor(this.#random() * count);
  #value = (): string => `v${++this.#values}`;
}

/** A lease that ended while its client could not reach the server. */
const isGone = (error: unknown): boolean => error instanceof KvstoreError && error.code === 'LEASE_NOT_FOUND';
