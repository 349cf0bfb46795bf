import { AUTH_RULES, DENY_RULES, type PolicyFeatures, REDIRECT_RULES } from './l4.ts';
import type { ChangeSet } from './map_changes.ts';
import { entryOf, type MapStateEntry, type MapStateValue, mergeValues, priorityOf } from './types/entry.ts';
import { coversPorts, type MapStateKey, maskPort, type PortKey, packPortKey } from './types/key.ts';

/** Entries that differ in identity alone. Made by {@link MapState.bucket}, never removed. */
export interface Bucket extends PortKey {
  /** Position among the buckets of its map state. */
  readonly index: number;
  readonly byIdentity: Map<number, MapStateValue>;
  /** Buckets whose ports cover these, itself included, most specific first; as of `broaderOf` buckets in all. */
  broader: readonly Bucket[];
  broaderOf: number;
  /** Buckets whose ports these cover, itself included, least specific first; as of `narrowerOf` buckets in all. */
  narrower: readonly Bucket[];
  narrowerOf: number;
}

/** Reading a policy map; changes under the reader's hand when its policy is updated. */
export interface MapStateView extends Iterable<MapStateEntry> {
  readonly size: number;
  get(key: MapStateKey): MapStateEntry | undefined;
  /** The value of a key, spelt out so that a lookup makes no objects. */
  valueAt(
    egress: boolean,
    identity: number,
    protocol: number,
    dport: number,
    prefixLen: number,
  ): MapStateValue | undefined;
}

/**
 * The policy entries of one endpoint. Inserting keeps what the datapath's lookup needs: deny beats allow, and a redirect
 * of higher priority beats one of lower priority, among keys that cover each other. (Between an identity and identity 0
 * the lookup itself decides, too.) Source: pkg/policy/mapstate.go.
 */
export class MapState implements MapStateView {
  readonly #buckets: Bucket[] = [];
  readonly #byPorts = new Map<number, Bucket>();

  /** The place of entries with these ports; made if it is not there yet. */
  bucket(egress: boolean, protocol: number, dport: number, portPrefixLen: number): Bucket {
    const id = packPortKey(egress, protocol, dport, portPrefixLen);
    let bucket = this.#byPorts.get(id);
    if (bucket === undefined) {
      const index = this.#buckets.length;
      const unknown = { broader: [], broaderOf: 0, narrower: [], narrowerOf: 0 };
      bucket = { index, egress, protocol, dport, portPrefixLen, byIdentity: new Map(), ...unknown };
      this.#byPorts.set(id, bucket);
      this.#buckets.push(bucket);
    }
    return bucket;
  }

  get size(): number {
    return this.#buckets.reduce((size, { byIdentity }) => size + byIdentity.size, 0);
  }

  get(key: MapStateKey): MapStateEntry | undefined {
    const value = this.valueAt(key.egress, key.identity, key.protocol, key.dport, key.portPrefixLen);
    return value && entryOf(key, value);
  }

  valueAt(
    egress: boolean,
    identity: number,
    protocol: number,
    dport: number,
    prefixLen: number,
  ): MapStateValue | undefined {
    return this.#byPorts.get(packPortKey(egress, protocol, dport, prefixLen))?.byIdentity.get(identity);
  }

  *[Symbol.iterator](): Iterator<MapStateEntry> {
    for (const bucket of this.#buckets) {
      for (const [identity, value] of bucket.byIdentity) yield entryOf(keyOf(bucket, identity), value);
    }
  }

  /** Insert what a rule says, unless something stronger covers it; remove what it makes pointless. */
  insert(bucket: Bucket, identity: number, value: MapStateValue, features: PolicyFeatures, changes?: ChangeSet): void {
    if (value.deny) this.#insertDeny(bucket, identity, value, changes);
    else if ((features & AUTH_RULES) !== 0) this.#insertWithAuth(bucket, identity, value, changes);
    else this.#insertAllow(bucket, identity, value, features, changes);
  }

  /** Put an entry without regard to covering keys; at the same key, a deny stays or wins and equals are merged. */
  add(bucket: Bucket, identity: number, value: MapStateValue, changes?: ChangeSet): void {
    const existing = bucket.byIdentity.get(identity);
    if (existing === undefined || (value.deny && !existing.deny)) set(bucket, identity, value, changes);
    else if (existing !== value && existing.deny === value.deny)
      set(bucket, identity, mergeValues(existing, value), changes);
  }

  remove(bucket: Bucket, identity: number, changes?: ChangeSet): void {
    const existing = bucket.byIdentity.get(identity);
    if (existing === undefined) return;
    changes?.touch(bucket, identity, existing);
    bucket.byIdentity.delete(identity);
  }

  #insertDeny(bucket: Bucket, identity: number, value: MapStateValue, changes: ChangeSet | undefined): void {
    for (const broad of this.#broader(bucket)) {
      if (identity !== 0 && broad.byIdentity.get(0)?.deny) return;
      if (broad !== bucket && broad.byIdentity.get(identity)?.deny) return;
    }
    for (const narrow of this.#narrower(bucket)) {
      for (const covered of identity === 0 ? narrow.byIdentity.keys() : [identity]) {
        const isOther = narrow !== bucket || covered !== identity;
        if (isOther || narrow.byIdentity.get(covered)?.deny === false) this.remove(narrow, covered, changes);
      }
    }
    this.add(bucket, identity, value, changes);
  }

  #insertAllow(
    bucket: Bucket,
    identity: number,
    value: MapStateValue,
    features: PolicyFeatures,
    changes: ChangeSet | undefined,
  ): void {
    const priority = priorityOf(value);
    if ((features & (DENY_RULES | REDIRECT_RULES)) !== 0) {
      for (const { byIdentity } of this.#broader(bucket)) {
        if (isStronger(byIdentity.get(0), priority) || isStronger(byIdentity.get(identity), priority)) return;
      }
    }
    if (priority > 0) {
      for (const narrow of this.#narrower(bucket)) {
        for (const covered of identity === 0 ? narrow.byIdentity.keys() : [identity]) {
          if (isWeaker(narrow.byIdentity.get(covered), priority)) this.remove(narrow, covered, changes);
        }
      }
    }
    this.add(bucket, identity, value, changes);
  }

  /**
   * Where rules ask for authentication, keys of one identity also inherit it: from the most specific key that covers
   * them and asks for it, unless they ask themselves. Source: pkg/policy/mapstate.go, authPreferredInsert.
   */
  #insertWithAuth(bucket: Bucket, identity: number, rule: MapStateValue, changes: ChangeSet | undefined): void {
    const explicit = rule.authExplicit;
    let value = rule;
    let derived = false;
    for (const broad of this.#broader(bucket)) {
      const covering = broad.byIdentity.get(identity);
      if (covering === undefined) continue;
      if (covering.deny) return;
      if (priorityOf(covering) > priorityOf(value)) {
        if (!explicit) return;
        value = { ...value, redirect: covering.redirect };
        break;
      }
      if (derived || explicit || broad === bucket || !covering.authExplicit) continue;
      value = { ...value, authType: covering.authType, authExplicit: false };
      derived = true;
    }
    let stopped = false;
    for (const narrow of this.#narrower(bucket)) {
      let covered = narrow.byIdentity.get(identity);
      if (covered === undefined) continue;
      if (isWeaker(covered, priorityOf(value))) {
        if (!covered.authExplicit) {
          this.remove(narrow, identity, changes);
          continue;
        }
        covered = { ...covered, redirect: value.redirect };
        set(narrow, identity, covered, changes);
      }
      if (stopped || !explicit || narrow === bucket) continue;
      // Cilium takes the first such entry to stand between this key and all that are left.
      if (covered.deny || covered.authExplicit) stopped = true;
      else if (covered.authType !== value.authType)
        set(narrow, identity, { ...covered, authType: value.authType, authExplicit: false }, changes);
    }
    this.add(bucket, identity, value, changes);
  }

  #broader(bucket: Bucket): readonly Bucket[] {
    if (bucket.broaderOf === this.#buckets.length) return bucket.broader;
    const { egress, protocol, dport } = bucket;
    const found: Bucket[] = [];
    if (protocol !== 0) {
      for (let portPrefixLen = bucket.portPrefixLen; portPrefixLen >= 0; portPrefixLen--) {
        const one = this.#byPorts.get(packPortKey(egress, protocol, maskPort(dport, portPrefixLen), portPrefixLen));
        if (one !== undefined) found.push(one);
      }
    }
    const everything = this.#byPorts.get(packPortKey(egress, 0, 0, 0));
    if (everything !== undefined) found.push(everything);
    bucket.broader = found;
    bucket.broaderOf = this.#buckets.length;
    return found;
  }

  #narrower(bucket: Bucket): readonly Bucket[] {
    if (bucket.narrowerOf === this.#buckets.length) return bucket.narrower;
    // Nothing is narrower than one port of one protocol: no need to look around.
    const one = bucket.portPrefixLen === 16;
    bucket.narrower = one ? [bucket] : this.#buckets.filter((other) => coversPorts(bucket, other)).sort(bySpecificity);
    bucket.narrowerOf = this.#buckets.length;
    return bucket.narrower;
  }
}

export const keyOf = ({ egress, protocol, dport, portPrefixLen }: Bucket, identity: number): MapStateKey => ({
  egress,
  identity,
  protocol,
  dport,
  portPrefixLen,
});

const bySpecificity = (a: Bucket, b: Bucket): number =>
  Number(a.protocol !== 0) - Number(b.protocol !== 0) || a.portPrefixLen - b.portPrefixLen;

function set(bucket: Bucket, identity: number, value: MapStateValue, changes: ChangeSet | undefined): void {
  changes?.touch(bucket, identity, bucket.byIdentity.get(identity));
  bucket.byIdentity.set(identity, value);
}

/** Does an entry that covers an allow of this priority make it pointless? */
const isStronger = (covering: MapStateValue | undefined, priority: number): boolean =>
  covering !== undefined && (covering.deny || priorityOf(covering) > priority);

const isWeaker = (covered: MapStateValue | undefined, priority: number): boolean =>
  covered !== undefined && !covered.deny && priorityOf(covered) < priority;
