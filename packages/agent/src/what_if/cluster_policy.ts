import {
  IdentityAllocator,
  IdentityCache,
  IdentityError,
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  type NumericIdentity,
  type Prefix,
  PrefixIdentities,
  parsePrefix,
} from '@ciliate/identity';
import { type ObjectStore, positionOf } from '@ciliate/k8s';
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
import { labelsOf, namedPortsOf, podName } from '../endpoint.ts';
import { AgentError } from '../errors.ts';
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
  readonly #identities: PrefixIdentities;

  private constructor(
    repository: PolicyRepository,
    pods: readonly PolicyPod[],
    prefixes: readonly Prefix[],
    identities: PrefixIdentities,
  ) {
    this.repository = repository;
    this.pods = pods;
    this.prefixes = prefixes;
    this.#identities = identities;
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
    const repository = new PolicyRepository({ clusterName: CLUSTER_NAME, enforcement });
    repository.setServices(serviceViewsOf(store));
    for (const object of POLICY_KINDS.flatMap((kind) => store.list(kind))) repository.upsert(object);
    const known = new IdentityCache(CLUSTER_NAME);
    const prefixes = describePrefixes(store, repository);
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
    );
  }

  /** The identity of the addresses in a prefix that are in no longer one; undefined: the world's. */
  identityOf({ family, address, length }: Prefix): NumericIdentity | undefined {
    return this.#identities
      .entries()
      .filter(({ prefix }) => prefix.family === family && prefix.length <= length && contains(prefix, address))
      .reduce<{ length: number; identity: number | undefined }>(
        (best, { prefix, identity }) => (prefix.length >= best.length ? { length: prefix.length, identity } : best),
        { length: -1, identity: undefined },
      ).identity;
  }
}

const contains = (prefix: Prefix, address: bigint): boolean => {
  const free = BigInt((prefix.family === 4 ? 32 : 128) - prefix.length);
  return prefix.address >> free === address >> free;
};

async function allocate(store: ObjectStore, cache: IdentityCache, seed: number) {
  const client = new EmbeddedStore({ nowNs: () => 0n }).client();
  const allocator = await IdentityAllocator.open({ client, cache, node: NODE_NAME, random: seededRandom(seed) });
  const namespaces = new Map(store.list('Namespace').map((namespace) => [namespace.metadata.name, namespace]));
  const pods = [...store.list('Pod')].sort((a, b) => (podName(a.metadata) < podName(b.metadata) ? -1 : 1));
  const allocated = [];
  try {
    for (const pod of pods) {
      const labels = labelsOf(pod, namespaces.get(pod.metadata.namespace), CLUSTER_NAME);
      const { identity } = await allocator.allocate(labels);
      allocated.push({ name: podName(pod.metadata), labels, identity, namedPorts: namedPortsOf(pod) });
    }
  } finally {
    await allocator.close();
  }
  return allocated;
}

/** What policies and CIDR groups say about addresses outside of the cluster. */
function describePrefixes(store: ObjectStore, repository: PolicyRepository): PrefixIdentities {
  const identities = new PrefixIdentities({ dualStack: false });
  for (const prefix of repository.prefixes().map(parsePrefix))
    identities.upsert(prefix, 'policies', { source: 'custom-resource', labels: labelsOfPolicyPrefix(prefix) });
  for (const group of store.list('CiliumCIDRGroup')) {
    const { name, labels } = group.metadata;
    const info = { source: 'generated', labels: labelsOfCidrGroup(name, labels) } as const;
    for (const [index, text] of group.spec.externalCIDRs.entries()) {
      const path = `spec.externalCIDRs[${index}]`;
      identities.upsert(
        parsed(text, () => positionOf(group, path), path),
        `cidrgroup/${name}`,
        info,
      );
    }
  }
  return identities;
}

function parsed(text: string, position: () => ReturnType<typeof positionOf>, path: string): Prefix {
  try {
    return parsePrefix(text);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const { file, line, column } = position();
    throw new AgentError('BAD_INPUT', `${file}:${line}:${column}: ${path}: ${error.message}`, { file, line, column });
  }
}
