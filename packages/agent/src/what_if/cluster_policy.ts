import {
  IDENTITY_HOST,
  IDENTITY_WORLD,
  IDENTITY_WORLD_IPV4,
  IDENTITY_WORLD_IPV6,
  IdentityAllocator,
  IdentityCache,
  identityScope,
  type NumericIdentity,
  type Prefix,
  SCOPE_LOCAL,
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
import { HOST_NAME, namedPortsOf, podName } from '../endpoint.ts';
import { type Families, familiesOf, isDualStack } from '../families.ts';
import { KnownPrefixes } from '../known_prefixes.ts';
import { hostLabelsOf, hostPrefix, localNodeName, nodeAddressesOf } from '../nodes.ts';
import { NODES_IGNORED, nodeSpecs } from '../not_modelled.ts';
import { labelsIn } from '../pods.ts';
import { seededRandom } from '../random.ts';
import { serviceViewsOf } from '../services.ts';

const CLUSTER_NAME = 'default';
const NODE_NAME = 'node-1';
const POLICY_KINDS = ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy'] as const;

export interface PolicyPod {
  /** `namespace/name`; of the node itself `reserved:host`. */
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
  /** The node itself; undefined without the host firewall: nobody has a say about it then. */
  readonly host: PolicyPod | undefined;
  /** What of the policies is not enforced, and why. */
  readonly ignored: readonly string[];
  /** Prefixes with identities of their own, in their order. */
  readonly prefixes: readonly Prefix[];
  readonly families: Families;
  readonly #identities: KnownPrefixes;

  private constructor(
    parts: Pick<ClusterPolicy, 'repository' | 'pods' | 'host' | 'ignored'>,
    identities: KnownPrefixes,
    families: Families,
  ) {
    this.repository = parts.repository;
    this.pods = parts.pods;
    this.host = parts.host;
    this.ignored = parts.ignored;
    const own = identities.entries().filter(({ identity }) => identityScope(identity) === SCOPE_LOCAL);
    this.prefixes = own.map(({ prefix }) => prefix);
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
    { enforcement = 'default', hostFirewall = false }: Partial<Pick<PolicyConfig, 'enforcement' | 'hostFirewall'>> = {},
  ): Promise<ClusterPolicy> {
    const families = familiesOf(store);
    const { ipv4: enableIPv4, ipv6: enableIPv6 } = families;
    const config = { clusterName: CLUSTER_NAME, enforcement, hostFirewall, enableIPv4, enableIPv6 };
    const repository = new PolicyRepository(config);
    repository.setServices(serviceViewsOf(store));
    const objects = POLICY_KINDS.flatMap((kind) => store.list(kind));
    for (const object of objects) repository.upsert(object);
    const known = new IdentityCache(CLUSTER_NAME);
    const nodeName = localNodeName(store) ?? NODE_NAME;
    const prefixes = new KnownPrefixes({ dualStack: isDualStack(families), reserved: known.reserved });
    prefixes.tell('reserved', nodeAddressesOf(store, families).map(hostPrefix));
    for (const { metadata } of [...store.list('Node'), ...store.list('CiliumNode')])
      prefixes.setNode(store, metadata.name, nodeName);
    prefixes.setApiServer(store);
    prefixes.setPolicyPrefixes(repository.prefixes());
    for (const group of store.list('CiliumCIDRGroup')) prefixes.setCidrGroup(group.metadata.name, group);
    const allocated = await allocate(store, known, seed);
    const selectors = new SelectorCache([]);
    known.subscribe({
      onAdd: (identity, labels) => void selectors.updateIdentities([[identity, labels]], []),
      onRemove: (identity) => void selectors.updateIdentities([], [identity]),
    });
    selectors.updateIdentities(prefixes.apply().added, []);
    const hostOf = (labels: Labels): PolicyPod => {
      const who = { identity: IDENTITY_HOST, labels };
      return {
        name: HOST_NAME,
        ...who,
        policy: resolveSelectorPolicy(repository, who, selectors).distill({ allNamedPorts }),
      };
    };
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
    const host = hostFirewall ? hostOf(hostLabelsOf(store, nodeName)) : undefined;
    const aboutNodes = hostFirewall ? [] : objects.filter((object) => nodeSpecs(object).length > 0);
    const ignored = aboutNodes.map(({ kind, metadata }) => `${kind} ${metadata.name} ${NODES_IGNORED}`);
    return new ClusterPolicy({ repository, pods, host, ignored }, prefixes, families);
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
