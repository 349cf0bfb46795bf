import type { LeaseId } from '../client.ts';
import { etcdError } from '../errors.ts';
import { type Bytes, FROM_KEY, type KeyRange } from '../keys.ts';
import { KeyIndex } from './key_index.ts';
import { deletionOf, isDeletion, Version } from './version.ts';

/**
 * Every key's versions since the last compaction, and the same versions in the order in which they came about.
 *
 * Writes are made at `revision + 1`, which `commit` then makes the revision. `read` looks at any revision held.
 */
export class History {
  readonly #index = new KeyIndex();
  /** Versions with modRevision >= compactRevision, in order. */
  #events: Version[] = [];
  #revision = 1;
  #compactRevision = 0;

  get revision(): number {
    return this.#revision;
  }

  /** Revisions below this are forgotten. */
  get compactRevision(): number {
    return this.#compactRevision;
  }

  get eventCount(): number {
    return this.#events.length;
  }

  /** Keys held, those deleted since the last compaction among them. */
  get keyCount(): number {
    return this.#index.size;
  }

  put(key: Bytes, value: Bytes, leaseId: LeaseId): Version {
    const before = this.#index.get(key);
    const revision = this.#revision + 1;
    const isNew = before === undefined || isDeletion(before);
    const createRevision = isNew ? revision : before.createRevision;
    return this.#add(
      new Version(key, value, createRevision, revision, isNew ? 1 : before.version + 1, leaseId, before),
    );
  }

  /** @returns the version that was there, or undefined; nothing is written then */
  delete(key: Bytes): Version | undefined {
    const before = this.#index.get(key);
    if (before === undefined || isDeletion(before)) return undefined;
    this.#add(deletionOf(before, this.#revision + 1));
    return before;
  }

  /** The writes since the last commit become the next revision. @returns them; empty: the revision stays */
  commit(): readonly Version[] {
    let first = this.#events.length;
    while (first > 0 && this.#events[first - 1]!.modRevision > this.#revision) first--;
    if (first === this.#events.length) return [];
    this.#revision++;
    return this.#events.slice(first);
  }

  /** What a key is, written and not yet committed changes included. */
  newest(key: Bytes): Version | undefined {
    const head = this.#index.get(key);
    return head === undefined || isDeletion(head) ? undefined : head;
  }

  /** Keys that exist at a revision, in order. Do not write while reading. */
  *read(range: KeyRange, revision: number): Generator<Version, void, undefined> {
    if (range.end === '') {
      const found = at(this.#index.get(range.key), revision);
      if (found !== undefined) yield found;
      return;
    }
    for (const head of this.#index.from(range.key)) {
      if (range.end !== FROM_KEY && head.key >= range.end) return;
      const found = at(head, revision);
      if (found !== undefined) yield found;
    }
  }

  /** @throws COMPACTED, FUTURE_REVISION */
  checkRevision(revision: number, newest: number): void {
    if (revision > newest) throw etcdError('FUTURE_REVISION', { revision, newest });
    if (revision < this.#compactRevision) throw this.compacted(revision);
  }

  compacted(revision: number): Error {
    return etcdError('COMPACTED', { revision, compactRevision: this.#compactRevision });
  }

  /** Up to `max` events, but whole revisions, of the revisions `first` to `last`, and the revision after them. */
  eventsFrom(first: number, last: number, max: number): { events: readonly Version[]; next: number } {
    const from = this.#eventAt(first);
    let to = Math.min(from + max, this.#events.length);
    if (to < this.#events.length) to = this.#eventAt(this.#events[to - 1]!.modRevision + 1, to);
    while (to > from && this.#events[to - 1]!.modRevision > last) to--;
    const isAll = to === this.#events.length || this.#events[to]!.modRevision > last;
    return { events: this.#events.slice(from, to), next: isAll ? last + 1 : this.#events[to]!.modRevision };
  }

  /** Forget what is older than a revision. Costs in proportion to what is forgotten. */
  compact(revision: number): void {
    this.#compactRevision = revision;
    const keep = this.#eventAt(revision);
    const until = this.#eventAt(revision + 1, keep);
    for (let i = 0; i < until; i++) {
      const version = this.#events[i]!;
      version.prev = undefined;
      if (isDeletion(version) && this.#index.get(version.key) === version) this.#index.delete(version.key);
    }
    if (keep > 0) this.#events = this.#events.slice(keep);
  }

  /** The compaction revision that leaves about `count` events, or 0 if there are no more than twice as many. */
  compactionFor(count: number): number {
    const surplus = this.#events.length - count;
    return surplus > count ? this.#events[surplus]!.modRevision : 0;
  }

  /** The versions that stand at the compaction and have no event any more, from a key on, at most `max`. */
  baseFrom(key: Bytes, max: number): { versions: Version[]; next: Bytes | undefined } {
    const versions: Version[] = [];
    const firstEvent = this.#events[0]?.modRevision ?? Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const head of this.#index.from(key)) {
      if (looked++ === max) return { versions, next: head.key };
      let oldest = head;
      while (oldest.prev !== undefined && oldest.modRevision >= firstEvent) oldest = oldest.prev;
      if (oldest.modRevision < firstEvent && !isDeletion(oldest)) versions.push(oldest);
    }
    return { versions, next: undefined };
  }

  /** As a snapshot tells: first the versions that stand at the compaction, then those after it in order. */
  restoreVersion(version: Version): void {
    version.prev = this.#index.get(version.key);
    this.#index.set(version);
    if (version.modRevision >= this.#compactRevision) this.#events.push(version);
  }

  /** As a snapshot tells: where the history begins. */
  restoreRevisions(revision: number, compactRevision: number): void {
    this.#revision = revision;
    this.#compactRevision = compactRevision;
  }

  #add(version: Version): Version {
    this.#index.set(version);
    this.#events.push(version);
    return version;
  }

  /** Index of the first event of a revision or a later one. */
  #eventAt(revision: number, low = 0): number {
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle]!.modRevision < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function at(head: Version | undefined, revision: number): Version | undefined {
  let version = head;
  while (version !== undefined && version.modRevision > revision) version = version.prev;
  return version === undefined || isDeletion(version) ? undefined : version;
}
