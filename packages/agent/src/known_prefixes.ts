import {
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  type Prefix,
  type PrefixChanges,
  type PrefixEntry,
  PrefixIdentities,
  type PrefixInfo,
  parsePrefix,
  prefixOf,
  type ReservedIdentities,
} from '@ciliate/identity';
import type { CiliumCIDRGroup, ObjectStore } from '@ciliate/k8s';
import type { Labels } from '@ciliate/labels';
import type { IpAddress } from '@ciliate/packet';
import { AgentError } from './errors.ts';
import { apiServerPrefixes, nodePrefixes } from './nodes.ts';

/** What the DNS proxy knows of addresses. Source: pkg/fqdn/namemanager. */
const NAMES = 'fqdn-name-manager';
/** All policies say the same about a prefix, so they count as one. */
const POLICIES = 'policies';

/** What is known about addresses that no pod has, and the identities that follow from it. */
export class KnownPrefixes {
  readonly #prefixes: PrefixIdentities;
  /** Resource → prefixes that it speaks of, by their texts. */
  readonly #told = new Map<string, ReadonlyMap<string, Prefix>>();
  /** What resources do not speak of any more. */
  #stale: { prefix: Prefix; text: string; resource: string }[] = [];

  constructor(options: { dualStack: boolean; reserved: ReservedIdentities }) {
    this.#prefixes = new PrefixIdentities(options);
  }

  /** These prefixes, and no others, are what policies name. */
  setPolicyPrefixes(texts: readonly string[]): void {
    this.tell(
      POLICIES,
      texts
        .map(parsePrefix)
        .map((prefix) => [prefix, { source: 'custom-resource', labels: labelsOfPolicyPrefix(prefix) }]),
    );
  }

  /** @param group undefined: there is none of that name any more. @throws AgentError BAD_INPUT and changes nothing */
  setCidrGroup(name: string, group: CiliumCIDRGroup | undefined): void {
    const prefixes = group === undefined ? [] : prefixesOf(group);
    const labels = labelsOfCidrGroup(name, group?.metadata.labels ?? {});
    this.tell(
      `cidrgroup/${name}`,
      prefixes.map((prefix) => [prefix, { source: 'generated', labels }]),
    );
  }

  /** A node came, changed or went. @param localName name of the node itself */
  setNode(store: ObjectStore, name: string, localName: string): void {
    this.tell(`node/${name}`, nodePrefixes(store, name, localName));
  }

  setApiServer(store: ObjectStore): void {
    this.tell('endpoints/default/kubernetes', apiServerPrefixes(store));
  }

  /** What a resource says, in the place of what it said before; what it says no more stays until {@link dropStale}. */
  tell(resource: string, infos: Iterable<readonly [prefix: Prefix, info: PrefixInfo]>): void {
    const before = this.#told.get(resource);
    const now = new Map<string, Prefix>();
    for (const [prefix, info] of infos) {
      now.set(textOf(prefix), prefix);
      this.#prefixes.upsert(prefix, resource, info);
    }
    for (const [text, prefix] of before ?? []) if (!now.has(text)) this.#stale.push({ prefix, text, resource });
    if (now.size > 0) this.#told.set(resource, now);
    else this.#told.delete(resource);
  }

  /** These addresses, and no others, have names that policies speak of. @param labels one `fqdn:` label for each selector */
  setNames(labels: ReadonlyMap<IpAddress, Labels>): void {
    this.tell(
      NAMES,
      [...labels].map(([address, own]) => [prefixOf(address), { source: 'generated', labels: own }]),
    );
  }

  /** Forget what resources do not speak of any more; takes effect with {@link apply}. */
  dropStale(): void {
    for (const { prefix, text, resource } of this.#stale)
      if (!this.#told.get(resource)?.has(text)) this.#prefixes.remove(prefix, resource);
    this.#stale = [];
  }

  /** Gives prefixes their identities; what changed must be known to policy, then be written. @throws IdentityError */
  apply(): PrefixChanges {
    return this.#prefixes.apply();
  }

  /** As of the last {@link apply}. */
  get(prefix: Prefix): PrefixEntry | undefined {
    return this.#prefixes.get(prefix);
  }

  /** In the order of the prefixes, as of the last {@link apply}. */
  entries(): PrefixEntry[] {
    return this.#prefixes.entries();
  }
}

const textOf = ({ family, address, length }: Prefix): string => `${family} ${address}/${length}`;

function prefixesOf(group: CiliumCIDRGroup): Prefix[] {
  return group.spec.externalCIDRs.map((text, index) => {
    try {
      return parsePrefix(text);
    } catch (cause) {
      const problem = `${JSON.stringify(text)} is not a prefix like 10.0.0.0/8`;
      throw AgentError.ofField(group, `spec.externalCIDRs[${index}]`, problem, { cause });
    }
  });
}
