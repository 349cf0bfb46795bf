import {
  IDENTITY_HOST,
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  type Prefix,
  type PrefixChanges,
  PrefixIdentities,
  type PrefixInfo,
  parsePrefix,
  type ReservedIdentities,
} from '@ciliate/identity';
import type { CiliumCIDRGroup } from '@ciliate/k8s';
import { Labels } from '@ciliate/labels';
import { IpcacheMap, type Memory } from '@ciliate/maps';
import type { Endpoint } from './endpoint.ts';
import { AgentError } from './errors.ts';

/** What the DNS proxy knows of addresses. Source: pkg/fqdn/namemanager. */
const NAMES = 'fqdn-name-manager';
/** All policies say the same about a prefix, so they count as one. */
const POLICIES = 'policies';

/**
 * Which identity an address has, in the map that the programs read: pods, the node, and prefixes outside of the cluster
 * that policies and CIDR groups speak of. An address that nobody knows is the world's.
 */
export class AgentIpcache {
  readonly #map: IpcacheMap;
  /** Of pods and the node: they have the identities of these, whatever is said about their addresses. */
  readonly #inCluster = new Set<number>();
  readonly #prefixes: PrefixIdentities;
  /** Resource → prefixes that it speaks of, by their texts. */
  readonly #told = new Map<string, ReadonlyMap<string, Prefix>>();
  /** What resources do not speak of any more. */
  #stale: { prefix: Prefix; text: string; resource: string }[] = [];

  /** @param node address of the node itself */
  constructor(memory: Memory, node: number, reserved: ReservedIdentities) {
    this.#map = IpcacheMap.create(memory);
    this.#prefixes = new PrefixIdentities({ dualStack: false, reserved });
    this.#prefixes.upsert(parsePrefix('0.0.0.0/0'), 'node', { source: 'local', labels: Labels.none });
    this.write(this.apply());
    this.#inCluster.add(node);
    this.#put(node, 32, IDENTITY_HOST);
  }

  /** These prefixes, and no others, are what policies name. */
  setPolicyPrefixes(texts: readonly string[]): void {
    this.#tell(POLICIES, texts.map(parsePrefix), (prefix) => ({
      source: 'custom-resource',
      labels: labelsOfPolicyPrefix(prefix),
    }));
  }

  /** @param group undefined: there is none of that name any more. @throws AgentError BAD_INPUT and changes nothing */
  setCidrGroup(name: string, group: CiliumCIDRGroup | undefined): void {
    const prefixes = group === undefined ? [] : prefixesOf(group);
    const labels = labelsOfCidrGroup(name, group?.metadata.labels ?? {});
    this.#tell(`cidrgroup/${name}`, prefixes, () => ({ source: 'generated', labels }));
  }

  /** These addresses, and no others, have names that policies speak of. @param labels one `fqdn:` label for each selector */
  setNames(labels: ReadonlyMap<number, Labels>): void {
    const prefixes = [...labels.keys()].map(
      (address) => ({ family: 4, address: BigInt(address), length: 32 }) as const,
    );
    this.#tell(NAMES, prefixes, ({ address }) => ({ source: 'generated', labels: labels.get(Number(address))! }));
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

  /** The programs see what `apply` changed. */
  write({ upserted, removed }: Pick<PrefixChanges, 'upserted' | 'removed'>): void {
    for (const { prefix, identity } of upserted)
      if (this.#isShown(prefix)) this.#put(Number(prefix.address), prefix.length, identity);
    for (const { prefix } of removed)
      if (this.#isShown(prefix)) this.#map.delete(Number(prefix.address), prefix.length);
  }

  upsertPod({ address, identity }: Endpoint): void {
    this.#inCluster.add(address);
    this.#put(address, 32, identity);
  }

  /** The address falls back to what is known of it as one outside of the cluster. */
  deletePod(address: number): void {
    this.#inCluster.delete(address);
    const entry = this.#prefixes.get({ family: 4, address: BigInt(address), length: 32 });
    if (entry === undefined) this.#map.delete(address, 32);
    else this.#put(address, 32, entry.identity);
  }

  /** The map is for IPv4. */
  #isShown({ family, address, length }: Prefix): boolean {
    return family === 4 && !(length === 32 && this.#inCluster.has(Number(address)));
  }

  #put(address: number, length: number, identity: number): void {
    this.#map.upsert(address, length, { identity, tunnelEndpoint: 0, key: 0, flags: 0 });
  }

  #tell(resource: string, prefixes: readonly Prefix[], infoOf: (prefix: Prefix) => PrefixInfo): void {
    const before = this.#told.get(resource);
    const now = new Map(prefixes.map((prefix) => [textOf(prefix), prefix]));
    for (const prefix of now.values()) this.#prefixes.upsert(prefix, resource, infoOf(prefix));
    for (const [text, prefix] of before ?? []) if (!now.has(text)) this.#stale.push({ prefix, text, resource });
    if (now.size > 0) this.#told.set(resource, now);
    else this.#told.delete(resource);
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
