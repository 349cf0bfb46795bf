import { Labels } from '@ciliate/labels';
import type { IpAddress } from '@ciliate/packet';
import { IdentityError } from '../errors.ts';
import { IDENTITY_HOST, type NumericIdentity, SCOPE_LOCAL } from '../numeric.ts';
import { type IdentityEntry, ReservedIdentities, scopeForLabels } from '../reserved.ts';
import type { Source } from '../source.ts';
import { LocalIdentities } from './local_identities.ts';
import { comparePrefixes, formatPrefix, type Prefix } from './prefix.ts';
import { withWorld } from './prefix_labels.ts';
import { type PrefixInfo, PrefixMetadata } from './prefix_metadata.ts';
import { PrefixTable } from './prefix_table.ts';

/** Which identity the addresses of a prefix have, as far as no longer prefix says otherwise. */
export interface PrefixEntry {
  readonly prefix: Prefix;
  readonly identity: NumericIdentity;
  readonly labels: Labels;
  /** The strongest source that says something about the prefix. */
  readonly source: Source;
  /** The node to tunnel to, as the strongest source says that names one. */
  readonly tunnelPeer: IpAddress | undefined;
}

/** What {@link PrefixIdentities.apply} did. Policy must know the new identities before packets carry them. */
export interface PrefixChanges {
  /** New ones, and the host's, if its labels changed: of all identities, it alone keeps its number then. */
  readonly added: readonly IdentityEntry[];
  readonly upserted: readonly PrefixEntry[];
  readonly removed: readonly PrefixEntry[];
  /** Identities that no prefix has any more. */
  readonly deleted: readonly NumericIdentity[];
}

/**
 * Gives identities to prefixes outside the cluster, from all that is known about them. Changes are collected and take
 * effect together. Source: pkg/ipcache/metadata.go, doInjectLabels.
 */
export class PrefixIdentities {
  readonly #dualStack: boolean;
  readonly #reserved: ReservedIdentities;
  readonly #metadata = new PrefixMetadata();
  readonly #local = new LocalIdentities();
  readonly #entries = new PrefixTable<PrefixEntry>();
  /** The labels of each prefix of the node itself: the host's identity has all of them. */
  readonly #ofHost = new PrefixTable<Labels>();
  #hostLabels = HOST;
  /** Prefixes that are known otherwise than their entries say; so may those be that they hold. */
  #changed = new PrefixTable<true>();

  /** @param dualStack are IPv4 and IPv6 both enabled? */
  constructor({
    dualStack,
    reserved = new ReservedIdentities(),
  }: { dualStack: boolean; reserved?: ReservedIdentities }) {
    this.#dualStack = dualStack;
    this.#reserved = reserved;
  }

  /** What a resource knows about a prefix; takes the place of what it said before. */
  upsert(prefix: Prefix, resource: string, info: PrefixInfo): void {
    if (this.#metadata.upsert(prefix, resource, info)) this.#changed.set(prefix, true);
  }

  /** A resource knows nothing about the prefix any more. */
  remove(prefix: Prefix, resource: string): void {
    if (this.#metadata.remove(prefix, resource)) this.#changed.set(prefix, true);
  }

  /**
   * Give every prefix the identity that its labels ask for. New identities are numbered in the order of their prefixes
   * (IPv4 first, then address, then length); an identity is let go only when all that is new is there, so that labels
   * which only move keep their number.
   * @throws IdentityError UNSUPPORTED for labels that are not of this node alone, EXHAUSTED
   */
  apply(): PrefixChanges {
    const changes = { added: [] as IdentityEntry[], upserted: [] as PrefixEntry[], removed: [] as PrefixEntry[] };
    const before: PrefixEntry[] = [];
    for (const prefix of this.#metadata.affectedBy(this.#changed).sort(comparePrefixes)) {
      const old = this.#entries.get(prefix);
      const labels = withWorld(this.#metadata.labelsOf(prefix), prefix, this.#dualStack);
      const source = this.#metadata.sourceOf(prefix);
      const tunnelPeer = this.#metadata.tunnelPeerOf(prefix);
      if (old?.source === source && old.tunnelPeer === tunnelPeer && old.labels.equals(labels)) continue;
      const { identity, isNew } = this.#acquire(prefix, labels);
      if (isNew) changes.added.push([identity, labels]);
      const entry = { prefix, identity, labels, source, tunnelPeer };
      this.#entries.set(prefix, entry);
      if (identity === IDENTITY_HOST) this.#ofHost.set(prefix, labels);
      else this.#ofHost.delete(prefix);
      changes.upserted.push(entry);
      if (old !== undefined) before.push(old);
    }
    for (const [prefix] of this.#changed.entries()) {
      const entry = this.#metadata.has(prefix) ? undefined : this.#entries.get(prefix);
      if (entry === undefined) continue;
      this.#entries.delete(prefix);
      this.#ofHost.delete(prefix);
      changes.removed.push(entry);
      before.push(entry);
    }
    this.#changed = new PrefixTable();
    const hostLabels = Labels.of([HOST, ...[...this.#ofHost].map(([, labels]) => labels)].flatMap((all) => [...all]));
    if (!hostLabels.equals(this.#hostLabels)) changes.added.push([IDENTITY_HOST, hostLabels]);
    this.#hostLabels = hostLabels;
    const deleted = before.map(({ identity }) => identity).filter((identity) => this.#release(identity));
    return { ...changes, deleted };
  }

  /** As of the last {@link apply}. */
  get(prefix: Prefix): PrefixEntry | undefined {
    return this.#entries.get(prefix);
  }

  /** The entry with the longest prefix that holds the address, as of the last {@link apply}. */
  lookup(family: 4 | 6, address: bigint): PrefixEntry | undefined {
    return this.#entries.lookup(family, address)?.[1];
  }

  /** In the order of the prefixes, as of the last {@link apply}. */
  entries(): PrefixEntry[] {
    return this.#entries.entries().map(([, entry]) => entry);
  }

  /** Who says something about exactly this prefix. */
  resources(prefix: Prefix): string[] {
    return this.#metadata.resources(prefix);
  }

  #acquire(prefix: Prefix, labels: Labels): { identity: NumericIdentity; isNew: boolean } {
    const reserved = this.#reserved.lookup(labels);
    if (reserved !== undefined) return { identity: reserved, isNew: false };
    if (scopeForLabels(labels) !== SCOPE_LOCAL) throw unsupported(prefix, labels);
    return this.#local.acquire(labels);
  }

  /** Reserved identities are everybody's and stay. */
  #release(identity: NumericIdentity): boolean {
    return this.#local.labelsOf(identity) !== undefined && this.#local.release(identity);
  }
}

const HOST = Labels.parse(['reserved:host']);

const unsupported = (prefix: Prefix, labels: Labels): IdentityError =>
  new IdentityError('UNSUPPORTED', `${formatPrefix(prefix)} with labels ${labels}: not modelled for a prefix`);
