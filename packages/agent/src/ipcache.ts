import {
  IDENTITY_HOST,
  Ipcache,
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  type Prefix,
  type PrefixChanges,
  type PrefixEntry,
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

/** Pods' addresses are told to other nodes through the key-value store, so that is where they come from. */
const POD_SOURCE = 'kvstore';
/** All policies say the same about a prefix, so they count as one. */
const POLICIES = 'policies';

/**
 * Which identity an address has, in the map that the programs read: pods, the node, and prefixes outside of the cluster
 * that policies and CIDR groups speak of. An address that nobody knows is the world's.
 */
export class AgentIpcache {
  readonly #ipcache = new Ipcache();
  readonly #prefixes: PrefixIdentities;
  /** Resource → prefixes that it speaks of, by their texts. */
  readonly #told = new Map<string, ReadonlyMap<string, Prefix>>();
  /** What resources do not speak of any more. */
  #stale: { prefix: Prefix; text: string; resource: string }[] = [];

  /** @param node address of the node itself */
  constructor(memory: Memory, node: number, reserved: ReservedIdentities) {
    const map = IpcacheMap.create(memory);
    this.#ipcache.subscribe({
      onUpsert: ({ ip, prefixLen, identity }) =>
        map.upsert(ip, prefixLen, { identity, tunnelEndpoint: 0, key: 0, flags: 0 }),
      onDelete: ({ ip, prefixLen }) => map.delete(ip, prefixLen),
    });
    this.#prefixes = new PrefixIdentities({ dualStack: false, reserved });
    this.#prefixes.upsert(parsePrefix('0.0.0.0/0'), 'node', { source: 'local', labels: Labels.none });
    this.write(this.apply());
    this.#ipcache.upsert({ ip: node, prefixLen: 32, identity: IDENTITY_HOST, source: 'local', hostIp: undefined });
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
    for (const entry of upserted) this.#upsert(entry);
    for (const { prefix, source } of removed) {
      if (prefix.family === 4) this.#ipcache.delete(Number(prefix.address), prefix.length, source);
    }
  }

  upsertPod({ address, identity }: Endpoint): void {
    this.#ipcache.upsert({ ip: address, prefixLen: 32, identity, source: POD_SOURCE, hostIp: undefined });
  }

  /** The address falls back to what is known of it as one outside of the cluster. */
  deletePod(address: number): void {
    this.#ipcache.delete(address, 32, POD_SOURCE);
    const entry = this.#prefixes.get({ family: 4, address: BigInt(address), length: 32 });
    if (entry !== undefined) this.#upsert(entry);
  }

  /** The map is for IPv4. */
  #upsert({ prefix: { family, address, length }, identity, source }: PrefixEntry): void {
    if (family !== 4) return;
    this.#ipcache.upsert({ ip: Number(address), prefixLen: length, identity, source, hostIp: undefined });
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
