import { createDatapathMaps, type Step } from '@ciliate/bpf';
import { EnvoyProxy, encodeDiscoveryResponse } from '@ciliate/envoy';
import type { Resolver } from '@ciliate/hubble';
import { IdentityAllocator, IdentityCache } from '@ciliate/identity';
import type { ObjectStore, PolicyObject } from '@ciliate/k8s';
import { EmbeddedStore } from '@ciliate/kvstore';
import type { ServiceEntry } from '@ciliate/loadbalancer';
import { Memory, openCtMaps } from '@ciliate/maps';
import { formatIpv4 } from '@ciliate/packet';
import {
  type EndpointPolicy,
  explainFlow,
  type FlowExplanation,
  type FlowKey,
  NamedPorts,
  PolicyConflictError,
  PolicyRepository,
  resolveSelectorPolicy,
  SelectorCache,
  type SelectorPolicy,
} from '@ciliate/policy';
import type { Logger } from 'pino';
import { createEndpoints, type Endpoint, FIRST_IFINDEX, namedPortsOf, nodeAddressOf, podName } from './endpoint.ts';
import { AgentError } from './errors.ts';
import { explainPolicyStep, type PolicyReason } from './explain.ts';
import { checkRedirects, checkRules } from './not_modelled.ts';
import { networkPolicyOf } from './npds.ts';
import { syncPolicyMap } from './policymap_sync.ts';
import { seededRandom } from './random.ts';
import { newResolver } from './resolver.ts';
import { serviceViewsOf, writeServices } from './services.ts';

/** How many maps of each kind of connection state there are, whatever the number of workers. */
export const CT_SHARDS = 16;
/** Of the proxy's HTTP listener; Cilium takes a free one from 10000..20000. */
export const PROXY_PORT_HTTP = 10_000;
const CLUSTER_NAME = 'default';
const NODE_NAME = 'node-1';
const POLICY_KINDS = ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy'] as const;

export interface AgentOptions {
  /** Watched for policies. Pods, namespaces and services are read once, at the start. */
  store: ObjectStore;
  /** Decides every choice that Cilium leaves to chance. */
  seed: number;
  log: Logger;
}

type Parts = Pick<Agent, 'memory' | 'identities' | 'repository' | 'proxy' | 'endpoints' | 'services'> & {
  selectors: SelectorCache;
  namedPorts: NamedPorts;
  allocator: IdentityAllocator;
};

/**
 * The composition root: allocates identities for the pods through the key-value store, computes each pod's policy, fills
 * the maps that the programs read and tells the proxy.
 */
export class Agent {
  readonly memory: Memory;
  readonly seed: number;
  readonly identities: IdentityCache;
  readonly repository: PolicyRepository;
  readonly proxy: EnvoyProxy;
  /** In the order of their ids. */
  readonly endpoints: readonly Endpoint[];
  readonly services: readonly ServiceEntry[];
  /** From which the proxy speaks to pods. */
  readonly nodeAddress: number;
  /** Names for what Hubble sees. */
  readonly resolver: Resolver;
  readonly #allocator: IdentityAllocator;
  readonly #selectors: SelectorCache;
  readonly #namedPorts: NamedPorts;
  readonly #log: Logger;
  readonly #byAddress: ReadonlyMap<number, Endpoint>;
  readonly #unwatch: () => void;
  #npdsVersion = 0;
  #connections = 0;
  #regeneration: Promise<void> = Promise.resolve();

  private constructor(options: AgentOptions, parts: Parts) {
    const { memory, identities, repository, selectors, proxy, allocator, endpoints, services } = parts;
    this.memory = memory;
    this.seed = options.seed;
    this.#log = options.log;
    this.identities = identities;
    this.repository = repository;
    this.#selectors = selectors;
    this.#namedPorts = parts.namedPorts;
    this.proxy = proxy;
    this.#allocator = allocator;
    this.endpoints = endpoints;
    this.services = services;
    this.nodeAddress = nodeAddressOf(options.store);
    createDatapathMaps(memory, { shards: CT_SHARDS });
    this.#byAddress = new Map(endpoints.map((endpoint) => [endpoint.address, endpoint]));
    this.resolver = newResolver(this.#byAddress, services);
    this.#unwatch = options.store.watch(POLICY_KINDS, ({ type, object }) => this.#policyChanged(type, object));
  }

  /**
   * Starts an agent with its proxy worker and its embedded key-value store, and brings policy into force.
   * @throws AgentError, PolicyError, IdentityError: what is wrong with the cluster's description
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const { store, seed, log } = options;
    const memory = Memory.create();
    const identities = new IdentityCache(CLUSTER_NAME);
    const allocator = await IdentityAllocator.open({
      client: new EmbeddedStore({ nowNs: () => process.hrtime.bigint() }).client(),
      cache: identities,
      node: NODE_NAME,
      random: seededRandom(seed),
    });
    const repository = new PolicyRepository({ clusterName: CLUSTER_NAME });
    const selectors = new SelectorCache([]);
    identities.subscribe({
      onAdd: (identity, labels) => void selectors.updateIdentities([[identity, labels]], []),
      onRemove: (identity) => void selectors.updateIdentities([], [identity]),
    });
    const services = writeServices(memory, store);
    repository.setServices(serviceViewsOf(store));
    const namedPorts = NamedPorts.of(store.list('Pod').map(namedPortsOf));
    let proxy: EnvoyProxy | undefined;
    try {
      const endpoints = await createEndpoints(memory, store, allocator, CLUSTER_NAME, (subject, own) =>
        resolveSelectorPolicy(repository, subject, selectors).distill({ namedPorts: own, allNamedPorts: namedPorts }),
      );
      proxy = await EnvoyProxy.start({ seed });
      const parts = { memory, identities, repository, selectors, namedPorts, proxy, allocator, endpoints, services };
      const agent = new Agent(options, parts);
      await agent.settled();
      log.info({ endpoints: endpoints.length, services: services.length }, 'agent started');
      return agent;
    } catch (error) {
      await proxy?.stop();
      await allocator.close();
      throw error;
    }
  }

  /** Resolves when every change of the store so far is in force, in maps and proxy. @throws what was wrong with it */
  settled(): Promise<void> {
    return this.#regeneration;
  }

  async stop(): Promise<void> {
    this.#unwatch();
    await this.proxy.stop();
    await this.#allocator.close();
  }

  endpointOfAddress(address: number): Endpoint | undefined {
    return this.#byAddress.get(address);
  }

  /** @param pod `namespace/name`, or a name in the namespace `default` */
  endpointOfPod(pod: string): Endpoint | undefined {
    const name = pod.includes('/') ? pod : `default/${pod}`;
    return this.endpoints.find((endpoint) => podName(endpoint) === name);
  }

  endpointOfInterface(ifindex: number): Endpoint | undefined {
    return this.endpoints[ifindex - FIRST_IFINDEX];
  }

  /** `namespace/name` of the pod with this address, or the address. */
  nameOf(address: number): string {
    const endpoint = this.#byAddress.get(address);
    return endpoint === undefined ? formatIpv4(address) : podName(endpoint);
  }

  /** A number for a connection that the proxy takes. */
  nextConnectionId(): number {
    return ++this.#connections;
  }

  /** `cilium-dbg bpf ct flush`: forgets every connection. No worker may run. */
  flushConntrack(): void {
    for (let shard = 0; shard < CT_SHARDS; shard++) {
      const { tcp, any } = openCtMaps(this.memory, shard);
      for (const map of [tcp, any]) for (const { key } of map.entries()) map.delete(key);
    }
  }

  /** What policy said to a packet, in the order it was asked, and by which rules. */
  explainPolicy(steps: readonly Step[]): PolicyReason[] {
    return steps.flatMap((step) => {
      if (step.kind !== 'policy') return [];
      const endpoint = this.endpoints[step.endpoint - 1]!;
      const labelsOf = (identity: number) => this.identities.get(identity);
      return [explainPolicyStep(step, { memory: this.memory, repository: this.repository, endpoint, labelsOf })];
    });
  }

  /** Everything about what policy says to a flow of an endpoint, and what would let it through. @param peer its address, if known */
  explainFlow(endpoint: Endpoint, flow: FlowKey, peer?: number): FlowExplanation {
    const address = peer === undefined ? undefined : formatIpv4(peer);
    return explainFlow(this.repository, endpoint, endpoint.policy, flow, address);
  }

  #policyChanged(type: 'added' | 'modified' | 'deleted', object: PolicyObject): void {
    const { namespace, name } = object.metadata;
    if (type === 'deleted') this.repository.delete({ kind: object.kind, namespace, name });
    else this.repository.upsert(object);
    // What went wrong with an earlier change was told to whoever waited for that one.
    this.#regeneration = this.#regeneration.catch(() => {}).then(() => this.#regenerate());
    this.#regeneration.catch(() => {}); // told by settled()
  }

  /**
   * Computes the policy of every endpoint whose rules changed and brings it into force: first in the proxy, so that it
   * knows what it gets. If the proxy refuses, everything stays as it was; endpoints whose rules contradict each other
   * keep what they have.
   */
  async #regenerate(): Promise<void> {
    checkRules(this.repository);
    const next = new Map<Endpoint, EndpointPolicy>();
    let conflict: PolicyConflictError | undefined;
    for (const endpoint of this.endpoints) {
      const policy = this.#resolve(endpoint);
      if (policy instanceof PolicyConflictError) conflict ??= policy;
      else if (policy !== endpoint.policy.selectorPolicy) {
        next.set(endpoint, policy.distill({ namedPorts: endpoint.namedPorts, allNamedPorts: this.#namedPorts }));
      }
    }
    if (next.size > 0) await this.#bringIntoForce(next);
    if (conflict !== undefined) throw conflict;
  }

  #resolve({ identity, labels }: Endpoint): SelectorPolicy | PolicyConflictError {
    try {
      return resolveSelectorPolicy(this.repository, { identity, labels }, this.#selectors);
    } catch (error) {
      if (error instanceof PolicyConflictError) return error;
      throw error;
    }
  }

  async #bringIntoForce(next: ReadonlyMap<Endpoint, EndpointPolicy>): Promise<void> {
    try {
      for (const policy of next.values()) checkRedirects(policy);
      await this.#pushToProxy((endpoint) => next.get(endpoint) ?? endpoint.policy);
    } catch (error) {
      for (const policy of next.values()) policy.release();
      throw error;
    }
    for (const [endpoint, policy] of next) {
      endpoint.policy.release();
      endpoint.policy = policy;
      const { revision } = policy;
      const changes = syncPolicyMap(endpoint.policyMap, policy, PROXY_PORT_HTTP);
      this.#log.debug({ endpoint: endpoint.id, pod: podName(endpoint), revision, ...changes }, 'endpoint regenerated');
    }
  }

  async #pushToProxy(policyOf: (endpoint: Endpoint) => EndpointPolicy): Promise<void> {
    const version = ++this.#npdsVersion;
    const policies = this.endpoints
      .map((endpoint) => ({ endpoint, policy: policyOf(endpoint) }))
      .filter(({ policy }) => policy.redirects.length > 0)
      .map(({ endpoint, policy }) => networkPolicyOf(endpoint, policy));
    const answer = await this.proxy.applyPolicy(encodeDiscoveryResponse(`${version}`, policies));
    if (!answer.ack)
      throw new AgentError('BAD_INPUT', `the proxy refused the policy, the last one stays: ${answer.reason}`, {
        version,
      });
    this.#log.debug({ version, policies: policies.length }, 'proxy acknowledged');
  }
}
