import { type MapStateEntry, type MapStateValue, mergeEntries } from './types/entry.ts';
import { formatKey, type MapStateKey, maskPort } from './types/key.ts';

/** Which kinds of entries a direction has; what cannot be there is not looked for. */
export interface PolicyFeatures {
  deny: boolean;
  redirect: boolean;
}

/** Entries that differ in identity alone. */
interface Bucket {
  readonly egress: boolean;
  readonly protocol: number;
  readonly dport: number;
  readonly portPrefixLen: number;
  readonly byIdentity: Map<number, MapStateEntry>;
}

/**
 * The policy entries of one endpoint while they are put together. Inserting keeps what the datapath's lookup needs:
 * deny beats allow, and a redirect of higher priority beats one of lower priority, among keys that cover each other.
 * (Between an identity and identity 0 the lookup itself decides.) Source: pkg/policy/mapstate.go.
 */
export class MapState {
  readonly #buckets = new Map<number, Bucket>();

  get(key: MapStateKey): MapStateEntry | undefined {
    return this.#buckets.get(bucketId(key))?.byIdentity.get(key.identity);
  }

  /** All entries, by their text key. */
  toMap(): ReadonlyMap<string, MapStateEntry> {
    const all = [...this.#buckets.values()].flatMap((bucket) => [...bucket.byIdentity.values()]);
    return new Map(all.map((entry) => [formatKey(entry.key), entry]));
  }

  /** Insert what a rule says, unless something stronger covers it; remove what it makes pointless. */
  insert(key: MapStateKey, value: MapStateValue, features: PolicyFeatures): void {
    if (value.deny) this.#insertDeny(key, value);
    else this.#insertAllow(key, value, features);
  }

  /** Put an entry without regard to covering keys; at the same key, a deny stays or wins and equals are merged. */
  add(key: MapStateKey, value: MapStateValue): void {
    const existing = this.get(key);
    if (existing === undefined || (value.deny && !existing.deny)) this.#set({ ...value, key });
    else if (existing.deny === value.deny) this.#set({ ...mergeEntries(existing, value), key });
  }

  #insertDeny(key: MapStateKey, value: MapStateValue): void {
    for (const covering of this.#broaderOrEqual(key)) {
      if (covering.deny && !sameKey(covering.key, key)) return;
    }
    for (const covered of this.#narrowerOrEqual(key)) {
      if (!covered.deny || !sameKey(covered.key, key)) this.#delete(covered.key);
    }
    this.add(key, value);
  }

  #insertAllow(key: MapStateKey, value: MapStateValue, features: PolicyFeatures): void {
    if (features.deny || features.redirect) {
      for (const covering of this.#broaderOrEqual(key)) {
        if (covering.deny || covering.proxyPortPriority > value.proxyPortPriority) return;
      }
    }
    if (value.proxyPortPriority > 0) {
      for (const covered of this.#narrowerOrEqual(key)) {
        if (!covered.deny && covered.proxyPortPriority < value.proxyPortPriority) this.#delete(covered.key);
      }
    }
    this.add(key, value);
  }

  /** Entries that cover `key`, of its identity or of identity 0. */
  *#broaderOrEqual(key: MapStateKey): Generator<MapStateEntry> {
    for (const bucket of this.#coveringBuckets(key)) {
      const any = bucket.byIdentity.get(0);
      if (any !== undefined) yield any;
      const own = key.identity === 0 ? undefined : bucket.byIdentity.get(key.identity);
      if (own !== undefined) yield own;
    }
  }

  *#coveringBuckets(key: MapStateKey): Generator<Bucket> {
    const { egress, protocol, dport } = key;
    const wildcard = this.#buckets.get(bucketId({ egress, protocol: 0, dport: 0, portPrefixLen: 0 }));
    if (wildcard !== undefined) yield wildcard;
    if (protocol === 0) return;
    for (let portPrefixLen = 0; portPrefixLen <= key.portPrefixLen; portPrefixLen++) {
      const id = bucketId({ egress, protocol, dport: maskPort(dport, portPrefixLen), portPrefixLen });
      const bucket = this.#buckets.get(id);
      if (bucket !== undefined) yield bucket;
    }
  }

  /** Entries that `key` covers. A list, so that the caller may delete while walking it. */
  #narrowerOrEqual(key: MapStateKey): MapStateEntry[] {
    const found: MapStateEntry[] = [];
    for (const bucket of this.#coveredBuckets(key)) {
      if (key.identity === 0) found.push(...bucket.byIdentity.values());
      else {
        const own = bucket.byIdentity.get(key.identity);
        if (own !== undefined) found.push(own);
      }
    }
    return found;
  }

  #coveredBuckets(key: MapStateKey): Bucket[] {
    // Nothing is narrower than one port of one protocol: no need to look around.
    if (key.portPrefixLen === 16) return [this.#buckets.get(bucketId(key))].filter((bucket) => bucket !== undefined);
    return [...this.#buckets.values()].filter((bucket) => coversPorts(key, bucket));
  }

  #set(entry: MapStateEntry): void {
    const { egress, protocol, dport, portPrefixLen, identity } = entry.key;
    const id = bucketId(entry.key);
    let bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      bucket = { egress, protocol, dport, portPrefixLen, byIdentity: new Map() };
      this.#buckets.set(id, bucket);
    }
    bucket.byIdentity.set(identity, entry);
  }

  #delete(key: MapStateKey): void {
    const id = bucketId(key);
    const bucket = this.#buckets.get(id);
    bucket?.byIdentity.delete(key.identity);
    if (bucket?.byIdentity.size === 0) this.#buckets.delete(id);
  }
}

type Ports = Omit<MapStateKey, 'identity'>;

/** All but the identity in 30 bits: direction, protocol, port, prefix length. */
function bucketId({ egress, protocol, dport, portPrefixLen }: Ports): number {
  return (Number(egress) << 29) | (protocol << 21) | (dport << 5) | portPrefixLen;
}

function coversPorts(broad: Ports, narrow: Ports): boolean {
  if (broad.egress !== narrow.egress) return false;
  if (broad.protocol === 0) return true;
  if (broad.protocol !== narrow.protocol || broad.portPrefixLen > narrow.portPrefixLen) return false;
  return maskPort(narrow.dport, broad.portPrefixLen) === broad.dport;
}

const sameKey = (a: MapStateKey, b: MapStateKey): boolean => a.identity === b.identity && bucketId(a) === bucketId(b);
