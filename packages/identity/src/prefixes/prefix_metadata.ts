import { compareBytes, type Label, Labels } from '@ciliate/labels';
import type { IpAddress } from '@ciliate/packet';
import { allowOverwrite, type Source } from '../source.ts';
import { addressBits, type Prefix } from './prefix.ts';
import { PrefixTable } from './prefix_table.ts';

/** What one resource (a policy, a CIDR group, the DNS proxy, ...) knows about a prefix. */
export interface PrefixInfo {
  readonly source: Source;
  readonly labels: Labels;
  /** The node to tunnel to, for what is behind one. */
  readonly tunnelPeer?: IpAddress | undefined;
}

/** Resource → what it says. Never changed; a new one takes its place. */
type Infos = ReadonlyMap<string, PrefixInfo>;

/**
 * What is known about prefixes, each piece under the resource it comes from, so that it can go with it.
 * Source: pkg/ipcache/metadata.go, types.go.
 */
export class PrefixMetadata {
  readonly #infos = new PrefixTable<Infos>();

  /** @returns whether anything changed */
  upsert(prefix: Prefix, resource: string, info: PrefixInfo): boolean {
    const infos = this.#infos.get(prefix);
    const before = infos?.get(resource);
    if (before !== undefined && isSame(before, info)) return false;
    this.#infos.set(prefix, new Map(infos).set(resource, info));
    return true;
  }

  /** @returns whether anything changed */
  remove(prefix: Prefix, resource: string): boolean {
    const infos = new Map(this.#infos.get(prefix));
    if (!infos.delete(resource)) return false;
    if (infos.size > 0) this.#infos.set(prefix, infos);
    else this.#infos.delete(prefix);
    return true;
  }

  has(prefix: Prefix): boolean {
    return this.#infos.get(prefix) !== undefined;
  }

  /** Who says something about exactly this prefix. */
  resources(prefix: Prefix): string[] {
    return [...(this.#infos.get(prefix)?.keys() ?? [])];
  }

  /** The strongest source that says something about exactly this prefix. */
  sourceOf(prefix: Prefix): Source {
    return byStrength(this.#infos.get(prefix) ?? new Map())[0]?.source ?? 'unspec';
  }

  /** Of exactly this prefix, as the strongest source says that names one. */
  tunnelPeerOf(prefix: Prefix): IpAddress | undefined {
    return byStrength(this.#infos.get(prefix) ?? new Map()).find(({ tunnelPeer }) => tunnelPeer !== undefined)
      ?.tunnelPeer;
  }

  /**
   * The labels of a prefix and of all that hold it. Of two labels with one key that of the longer prefix stays, of one
   * prefix that of the stronger source, then of the resource whose name comes first (in Cilium: any). Only one `cidr:`
   * label is kept: every wider block is found by containment.
   */
  labelsOf(prefix: Prefix): Labels {
    const byKey = new Map<string, Label>();
    let hasCidr = false;
    for (const [, infos] of this.#infos.covering(prefix)) {
      for (const { labels } of byStrength(infos)) {
        for (const label of labels) {
          const isCidr = label.source === 'cidr';
          if (byKey.has(label.key) || (isCidr && hasCidr)) continue;
          byKey.set(label.key, label);
          if (isCidr) hasCidr = true;
        }
      }
    }
    return Labels.of(byKey.values());
  }

  /** Of these prefixes, and of all that they hold, those that something is known about. */
  affectedBy(prefixes: PrefixTable<true>): Prefix[] {
    const changed = [...prefixes].map(([prefix]) => prefix);
    // An address that a name answered with: nothing is below it, and the others need not be looked at.
    if (changed.every(({ family, length }) => length === addressBits(family)))
      return changed.filter((one) => this.has(one));
    const affected: Prefix[] = [];
    for (const [prefix] of this.#infos) {
      const [first] = prefixes.covering(prefix);
      if (first !== undefined) affected.push(prefix);
    }
    return affected;
  }
}

const isSame = (a: PrefixInfo, b: PrefixInfo): boolean =>
  a.source === b.source && a.tunnelPeer === b.tunnelPeer && a.labels.equals(b.labels);

function byStrength(infos: Infos): PrefixInfo[] {
  return [...infos]
    .sort(([nameA, a], [nameB, b]) => {
      if (a.source === b.source) return compareBytes(nameA, nameB);
      return allowOverwrite(a.source, b.source) ? 1 : -1;
    })
    .map(([, info]) => info);
}
