import {
  IDENTITY_WORLD,
  IDENTITY_WORLD_IPV4,
  IDENTITY_WORLD_IPV6,
  IdentityAllocator,
  IdentityCache,
  type NumericIdentity,
  type Prefix,
} from '@ciliate/identity';
import type { ObjectStore } from '@ciliate/k8s';
import { EmbeddedStore } from '@ciliate/kvstore';
import type { Labels } from '@ciliate/labels';
import {
  type EndpointPolicy,
  NamedPorts,
  type PolicyConfig,
  PolicyRepository,
  resolveSelectorPolicy,
  SelectorCache,
} from '@ciliate/policy';
import { namedPortsOf, podName } from '../endpoint.ts';
import { type Families, familiesOf, isDualStack } from '../families.ts';
import { KnownPrefixes } from '../known_prefixes.ts';
import { labelsIn } from '../pods.ts';
import { seededRandom } from '../random.ts';
import { serviceViewsOf } from '../services.ts';

const CLUSTER_NAME = 'default';
const NODE_NAME = 'node-1';
const POLICY_KINDS = ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy'] as const;

export interface PolicyPod {
  /** `namespace/name`. */
  readonly name: string;
  readonly identity: NumericIdentity;
  readonly labels: Labels;
  /** One for all pods of the same identity and named ports. */
  readonly policy: EndpointPolicy;
}

/** A cluster as its policies see it: identities and everybody's policy, without maps, programs or proxy. */
export class ClusterPolicy {
  readonly repository: PolicyRepository;
  /** By namespace and name. */
  readonly pods: readonly PolicyPod[];
  /** Prefixes with identities of their own, in their order. */
  readonly prefixes: readonly Prefix[];
  readonly families: Families;
  readonly #identities: KnownPrefixes;

  private constructor(
    repository: PolicyRepository,
    pods: readonly PolicyPod[],
    prefixes: readonly Prefix[],
    identities: KnownPrefixes,
    families: Families,
  ) {
    this.repository = repository;
    this.pods = pods;
    this.prefixes = prefixes;
    this.#identities = identities;
    this.families = families;
  }

  /**
   * Pods get the numbers that an agent with this seed gives them when it starts.
   * @throws PolicyError, PolicyConflictError, AgentError BAD_INPUT: what is wrong with the objects
   */
  static async of(
    store: ObjectStore,
    seed: number,
    enforcement: PolicyConfig['enforcement'] = 'default',
  ): Promise<ClusterPolicy> {
    const families = familiesOf(store);
    const { ipv4: enableIPv4, ipv6: enableIPv6 } = families;
    const repository = new PolicyRepository({ clusterName: CLUSTER_NAME, enforcement, enableIPv4, enableIPv6 });
    repository.setServices(serviceViewsOf(store));
    for (const object of POLICY_KINDS.flatMap((kind) => store.list(kind))) repository.upsert(object);
    const known = new IdentityCache(CLUSTER_NAME);
    const prefixes = new KnownPrefixes({ dualStack: isDualStack(families), reserved: known.reserved });
    prefixes.setPolicyPrefixes(repository.prefixes());
    for (const group of store.list('CiliumCIDRGroup')) prefixes.setCidrGroup(group.metadata.name, group);
    const allocated = await allocate(store, known, seed);
    const selectors = new SelectorCache([]);
    known.subscribe({
      onAdd: (identity, labels) => void selectors.updateIdentities([[identity, labels]], []),
      onRemove: (identity) => void selectors.updateIdentities([], [identity]),
    });
    const { added, upserted } = prefixes.apply();
    selectors.updateIdentities(added, []);
    const allNamedPorts = NamedPorts.of(allocated.map(({ namedPorts }) => namedPorts));
    const policies = new Map<string, EndpointPolicy>();
    const pods = allocated.map(({ name, identity, labels, namedPorts }) => {
      const key = JSON.stringify([identity, namedPorts]);
      const policy =
        policies.get(key) ??
        resolveSelectorPolicy(repository, { identity, labels }, selectors).distill({ namedPorts, allNamedPorts });
      policies.set(key, policy);
      return { name, identity, labels, policy };
    });
    return new ClusterPolicy(
      repository,
      pods,
      upserted.map(({ prefix }) => prefix),
      prefixes,
      families,
    );
  }

  /** The identity of the addresses in a prefix that are in no longer one. */
  identityOf({ family, address, length }: Prefix): NumericIdentity {
    const known = this.#identities
      .entries()
      .filter(({ prefix }) => prefix.family === family && prefix.length <= length && contains(prefix, address))
      .reduce<{ length: number; identity: number | undefined }>(
        (best, { prefix, identity }) => (prefix.length >= best.length ? { length: prefix.length, identity } : best),
        { length: -1, identity: undefined },
      );
    return known.identity ?? this.worldOf(family);
  }

  /** The identity of all else outside of the cluster: with both families in use each has a world of its own. */
  worldOf(family: 4 | 6): NumericIdentity {
    if (!isDualStack(this.families)) return IDENTITY_WORLD;
    return family === 4 ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6;
  }
}

const contains = (prefix: Prefix, address: bigint): boolean => {
  const free = BigInt((prefix.family === 4 ? 32 : 128) - prefix.length);
  return prefix.address >> free === address >> free;
};

async function allocate(store: ObjectStore, cache: IdentityCache, seed: number) {
  const client = new EmbeddedStore({ nowNs: () => 0n }).client();
  const allocator = await IdentityAllocator.open({ client, cache, node: NODE_NAME, random: seededRandom(seed) });
  const pods = [...store.list('Pod')].sort((a, b) => (podName(a.metadata) < podName(b.metadata) ? -1 : 1));
  const allocated = [];
  try {
    for (const pod of pods) {
      const labels = labelsIn(store, pod, CLUSTER_NAME);
      const { identity } = await allocator.allocate(labels);
      allocated.push({ name: podName(pod.metadata), labels, identity, namedPorts: namedPortsOf(pod) });
    }
  } finally {
    await allocator.close();
  }
  return allocated;
}
