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
import { type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Endpoint } from './endpoint.ts';
import { AgentError } from './errors.ts';
import { type Families, isDualStack } from './families.ts';

/** All policies say the same about a prefix, so they count as one. */
const POLICIES = 'policies';

/**
 * Which identity an address has, in the map that the programs read: pods, the node, and prefixes outside of the cluster
 * that policies and CIDR groups speak of. An address that nobody knows is the world's.
 */
export class AgentIpcache {
  readonly #map: IpcacheMap;
  /** Of pods and the node: they have the identities of these, whatever is said about their addresses. */
  readonly #inCluster = new Set<IpAddress>();
  readonly #prefixes: PrefixIdentities;
  /** Resource → prefixes that it speaks of, by their texts. */
  readonly #told = new Map<string, ReadonlyMap<string, Prefix>>();
  /** What resources do not speak of any more. */
  #stale: { prefix: Prefix; text: string; resource: string }[] = [];

  /** @param node addresses of the node itself */
  constructor(memory: Memory, node: readonly IpAddress[], reserved: ReservedIdentities, families: Families) {
    this.#map = IpcacheMap.create(memory);
    this.#prefixes = new PrefixIdentities({ dualStack: isDualStack(families), reserved });
    const worlds = [...(families.ipv4 ? ['0.0.0.0/0'] : []), ...(families.ipv6 ? ['::/0'] : [])];
    for (const world of worlds)
      this.#prefixes.upsert(parsePrefix(world), 'node', { source: 'local', labels: Labels.none });
    this.write(this.apply());
    for (const address of node) {
      this.#inCluster.add(address);
      this.#put(address, widthOf(address), IDENTITY_HOST);
    }
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
      if (this.#isShown(prefix)) this.#put(firstOf(prefix), prefix.length, identity);
    for (const { prefix } of removed) if (this.#isShown(prefix)) this.#map.delete(firstOf(prefix), prefix.length);
  }

  upsertPod({ addresses, identity }: Endpoint): void {
    for (const address of addresses) {
      this.#inCluster.add(address);
      this.#put(address, widthOf(address), identity);
    }
  }

  /** The address falls back to what is known of it as one outside of the cluster. */
  deletePod(address: IpAddress): void {
    this.#inCluster.delete(address);
    const length = widthOf(address);
    const entry = this.#prefixes.get({ family: isIpv6(address) ? 6 : 4, address: BigInt(address), length });
    if (entry === undefined) this.#map.delete(address, length);
    else this.#put(address, length, entry.identity);
  }

  #isShown(prefix: Prefix): boolean {
    const first = firstOf(prefix);
    return !(prefix.length === widthOf(first) && this.#inCluster.has(first));
  }

  #put(address: IpAddress, length: number, identity: number): void {
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

const firstOf = ({ family, address }: Prefix): IpAddress => (family === 4 ? Number(address) : address);
/** Bits of an address. */
const widthOf = (address: IpAddress): number => (isIpv6(address) ? 128 : 32);
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
