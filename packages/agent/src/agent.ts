import { createDatapathMaps, type DatapathConfig, type Step } from '@ciliate/bpf';
import { EnvoyProxy } from '@ciliate/envoy';
import type { Resolver } from '@ciliate/hubble';
import { type FqdnConfig, IDENTITY_HOST, IdentityCache, type Source } from '@ciliate/identity';
import type { ObjectStore } from '@ciliate/k8s';
import type { KvstoreClient } from '@ciliate/kvstore';
import type { ServiceEntry } from '@ciliate/loadbalancer';
import { Memory } from '@ciliate/maps';
import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import {
  explainFlow,
  type FlowExplanation,
  type FlowKey,
  NamedPorts,
  type PolicyConfig,
  PolicyRepository,
  SelectorCache,
} from '@ciliate/policy';
import type { Logger } from 'pino';
import { Changes, WATCHED_KINDS } from './changes.ts';
import { openConntrack } from './conntrack.ts';
import { EndpointRegistry } from './crd/endpoint_registry.ts';
import { type DatapathFlags, datapathConfigOf } from './datapath_config.ts';
import { AgentDns } from './dns.ts';
import type { Endpoint } from './endpoint.ts';
import { EndpointTable } from './endpoint_table.ts';
import { AgentError } from './errors.ts';
import { explainPolicyStep, type PolicyReason } from './explain.ts';
import { type Families, familiesOf } from './families.ts';
import { allocationOnCrd, allocationOnKvstore, type IdentityAllocation } from './identity_allocation.ts';
import { IdentityChanges } from './identity_changes.ts';
import { AgentIpcache } from './ipcache.ts';
import { SharedState } from './kvstore/shared_state.ts';
import { Lockdown } from './lockdown.ts';
import { hostLabelsOf, knownNodeAddresses, localNodeName, nodeAddressesOf } from './nodes.ts';
import { type PolicyReceiver, ProxyPolicy } from './proxy_policy.ts';
import { Reconciler, type ReconcilerParts } from './reconciler.ts';
import { Regeneration } from './regeneration.ts';
import type { Registry } from './registry.ts';
import { newResolver } from './resolver.ts';
import { Services } from './services.ts';

/** How many maps of each kind of connection state there are, whatever the number of workers. */
export const CT_SHARDS = 16;
const NS_PER_S = 1_000_000_000n;
const CLUSTER_NAME = 'default';
const NODE_NAME = 'node-1';
const NO_ADDRESS =
  'agents on one store tell nodes apart by their addresses: give the pods a hostIP, or describe the node';

export interface AgentOptions extends DatapathFlags {
  /**
   * Watched for pods, namespaces, services, policies, CIDR groups and nodes. Which of the nodes this one is, and its first
   * address, are read once, at the start.
   */
  store: ObjectStore;
  /** Decides every choice that Cilium leaves to chance. */
  seed: number;
  log: Logger;
  /** `--enable-policy`, when what no rule allows is dropped; by default as soon as a rule about the direction selects a pod. */
  enablePolicy?: PolicyConfig['enforcement'] | undefined;
  /**
   * The node that the agent is on, by its name: pods that say another `spec.nodeName`, or another `hostIP`, are behind tunnels.
   * By default all pods are on one node.
   */
  node?: string | undefined;
  /** `--enable-host-firewall`: are policies about nodes enforced? By default they are ignored. */
  enableHostFirewall?: boolean | undefined;
  /** What of the names learnt by DNS differs from Cilium's flags. */
  fqdn?: FqdnConfig | undefined;
  /** `--tofqdns-dns-reject-response-code`, what the DNS proxy answers to a question that no rule allows: `refused` by default. */
  dnsRejectWith?: 'refused' | 'nameError' | undefined;
  /**
   * The store that agents share (`--kvstore`); they need nodes with addresses of their own. By default the agent has one to
   * itself, in memory. Closed by who gives it, after the agent stopped.
   */
  kvstore?: KvstoreClient | undefined;
  /**
   * `--identity-allocation-mode`: numbers from the key-value store, by default, or as CiliumIdentity objects in `store`. With
   * `crd` and no `kvstore`, agents tell each other of pods by CiliumEndpoint objects.
   */
  identityAllocationMode?: 'kvstore' | 'crd' | undefined;
  /** `--cluster-id`, 0 by default. */
  clusterId?: number | undefined;
  /** Proxies on real sockets that are to know the policy too; started and stopped by who gives them. */
  proxies?: readonly PolicyReceiver[];
}

type Parts = Pick<ReconcilerParts, 'identities' | 'repository' | 'allocation' | 'selectors' | 'families'> & {
  memory: Memory;
  proxy: EnvoyProxy;
  nodeName: string;
  nodeAddresses: readonly IpAddress[];
  registry: Registry | undefined;
  source: Source;
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
  readonly families: Families;
  /** Of the node itself, one of each family that the cluster uses; from them the proxy speaks to pods. */
  readonly nodeAddresses: readonly IpAddress[];
  /** What the programs are compiled with. */
  readonly config: DatapathConfig;
  /** Where packets for pods of other nodes leave in tunnel mode. */
  readonly tunnelDevice: string;
  /** Names for what Hubble sees. */
  readonly resolver: Resolver;
  /** DNS of the endpoints: the proxy that judges questions, and the names that answers told. */
  readonly dns: AgentDns;
  readonly #allocation: IdentityAllocation;
  readonly #registry: Registry | undefined;
  readonly #endpoints: EndpointTable;
  readonly #services: Services;
  readonly #identityChanges: IdentityChanges;
  readonly #reconciler: Reconciler;
  readonly #unwatch: () => void;
  #changes = new Changes();
  #connections = 0;
  /** Is there a round to come that will see whatever changes now? */
  #isScheduled = false;
  #isReconciling = false;
  #settled: Promise<void> = Promise.resolve();

  private constructor(options: AgentOptions, parts: Parts) {
    const { store, seed, log, fqdn, dnsRejectWith, proxies = [] } = options;
    const { memory, identities, repository, selectors, proxy, allocation, registry, families, nodeName } = parts;
    this.memory = memory;
    this.seed = seed;
    this.identities = identities;
    this.repository = repository;
    this.proxy = proxy;
    this.families = families;
    this.nodeAddresses = parts.nodeAddresses;
    this.config = {
      ...datapathConfigOf(options, families, this.nodeAddresses),
      hostFirewall: repository.config.hostFirewall,
    };
    this.tunnelDevice = `cilium_${options.tunnelProtocol ?? 'vxlan'}`;
    this.#allocation = allocation;
    this.#registry = registry;
    const { nodeAddresses } = this;
    const hasOtherNodes = options.node !== undefined;
    this.#services = new Services(memory, { nodeName, nodeAddresses, families, hasOtherNodes });
    const lockdown = new Lockdown(repository, selectors);
    const labels = hostLabelsOf(store, nodeName);
    const locked = lockdown.policyOf(IDENTITY_HOST, labels);
    this.#endpoints = new EndpointTable(memory, nodeAddresses, labels, locked);
    const reserved = identities.reserved;
    const ipcache = new AgentIpcache(memory, { node: nodeAddresses, reserved, families, source: parts.source });
    this.resolver = newResolver(this.#endpoints, this.#services, ipcache);
    this.dns = new AgentDns({
      ...{ memory, endpoints: this.#endpoints, shards: CT_SHARDS, fqdn, rejectWith: dnsRejectWith },
    });
    this.#identityChanges = new IdentityChanges(identities, selectors, () => {
      if (!this.#isReconciling) this.#schedule();
    });
    const namedPorts = new NamedPorts();
    const [endpoints, services] = [this.#endpoints, this.#services];
    this.#reconciler = new Reconciler({
      ...{ store, clusterName: CLUSTER_NAME, clusterId: options.clusterId ?? 0, nodeName, families, log },
      hasOtherNodes,
      ...{ allocation, registry, identities, repository, selectors, namedPorts, endpoints, lockdown, ipcache },
      identityChanges: this.#identityChanges,
      names: this.dns.names,
      services,
      regeneration: new Regeneration({
        ...{ repository, selectors, namedPorts, endpoints, log },
        proxy: new ProxyPolicy([proxy, ...proxies], log),
      }),
    });
    createDatapathMaps(memory, { shards: CT_SHARDS }); // all that are not there yet
    this.#unwatch = store.watch(WATCHED_KINDS, (event) => {
      this.#changes.note(event);
      this.#schedule();
    });
  }

  /**
   * Starts an agent with its proxy worker, and brings policy into force.
   * @throws AgentError, PolicyError, IdentityError, ServiceError: what is wrong with the cluster's description; KvstoreError
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const { store, seed, log, kvstore, clusterId = 0, node: wanted } = options;
    const { enablePolicy: enforcement = 'default', enableHostFirewall: hostFirewall = false } = options;
    if (kvstore !== undefined && knownNodeAddresses(store, wanted).length === 0)
      throw new AgentError('BAD_INPUT', NO_ADDRESS);
    const identities = new IdentityCache(CLUSTER_NAME);
    const families = familiesOf(store, options);
    const nodeAddresses = nodeAddressesOf(store, families, wanted);
    const nodeName = localNodeName(store, wanted) ?? NODE_NAME;
    const nodeIp = nodeAddresses[0]!;
    let agent: Agent | undefined;
    let [proxy, registry]: [EnvoyProxy | undefined, Registry | undefined] = [undefined, undefined];
    const onChange = () => {
      if (agent !== undefined) agent.#schedule();
    };
    const isCrd = options.identityAllocationMode === 'crd';
    const allocation = isCrd
      ? allocationOnCrd(store, { identities, clusterId, seed })
      : await allocationOnKvstore({ kvstore, identities, clusterId, nodeIp, seed, log });
    try {
      if (kvstore !== undefined) {
        const node = { name: nodeName, cluster: CLUSTER_NAME, hostIp: nodeIp };
        registry = await SharedState.open({ client: kvstore, node, onChange, log });
      } else if (isCrd) {
        registry = new EndpointRegistry(store, nodeIp, onChange);
      }
      proxy = await EnvoyProxy.start({ seed });
      const { ipv4: enableIPv4, ipv6: enableIPv6 } = families;
      const policy = { clusterName: CLUSTER_NAME, enforcement, hostFirewall, enableIPv4, enableIPv6 };
      const repository = new PolicyRepository(policy);
      const selectors = new SelectorCache(identities.entries());
      const source: Source = kvstore === undefined ? 'custom-resource' : 'kvstore';
      const parts = { memory: Memory.create(), identities, allocation, registry, source, proxy, repository, selectors };
      agent = new Agent(options, { ...parts, families, nodeName, nodeAddresses });
      await agent.settled();
      log.info({ endpoints: agent.endpoints.length, services: agent.services.length }, 'agent started');
      return agent;
    } catch (error) {
      await proxy?.stop();
      await registry?.close();
      await allocation.close();
      throw error;
    }
  }

  /** The node itself. With the host firewall its policy is asked about what it sends and receives. */
  get hostEndpoint(): Endpoint {
    return this.#endpoints.host;
  }

  /** Pods, in the order of their ids. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints.list;
  }

  get services(): readonly ServiceEntry[] {
    return this.#services.entries;
  }

  /** Resolves when every change of the store so far is in force, in maps and proxy. @throws what was wrong with it */
  settled(): Promise<void> {
    return this.#settled;
  }

  /**
   * An endpoint got an answer by DNS. Resolves when all that follows is in force: identities of the addresses, policies
   * about the name, the maps. @param nowNs of the clock that packets have
   */
  async learnName(
    endpoint: Endpoint,
    { name, addresses, ttlS }: { name: string; addresses: readonly string[]; ttlS: number },
    nowNs: bigint,
  ): Promise<void> {
    if (this.dns.learn(endpoint.id, name, addresses, ttlS, Number(nowNs / NS_PER_S))) this.#schedule();
    await this.settled().catch(() => {}); // told to those who changed objects
  }

  /** To be called from time to time: names whose time is over lose their addresses, unless connections need them. */
  async collectNames(nowNs: bigint): Promise<void> {
    if (!this.dns.collect(Number(nowNs / NS_PER_S))) return;
    this.#schedule();
    await this.settled().catch(() => {});
  }

  async stop(): Promise<void> {
    this.#unwatch();
    this.#identityChanges.close();
    await this.#settled.catch(() => {}); // told by settled()
    await this.proxy.stop();
    // If the store cannot be reached, what this agent has there goes with its leases.
    await this.#registry?.close().catch(() => {});
    await this.#allocation.close().catch(() => {});
  }

  /**
   * To be called every few minutes: tells the store that this agent lives, writes again what of its keys was lost, and
   * tries again what could not be done. @throws KvstoreError: the store cannot be reached
   */
  async syncKvstore(): Promise<void> {
    await this.#allocation.sync();
    await this.#registry?.sync();
    this.#schedule();
    await this.settled().catch(() => {}); // told to those who changed objects
  }

  endpointOfId(id: number): Endpoint | undefined {
    return this.#endpoints.ofId(id);
  }

  endpointOfAddress(address: IpAddress): Endpoint | undefined {
    return this.#endpoints.ofAddress(address);
  }

  /** @param pod `namespace/name`, or a name in the namespace `default` */
  endpointOfPod(pod: string): Endpoint | undefined {
    return this.#endpoints.ofName(pod.includes('/') ? pod : `default/${pod}`);
  }

  /** Is it one of the node itself? */
  isHostAddress(address: IpAddress): boolean {
    return this.#endpoints.isHostAddress(address);
  }

  endpointOfInterface(ifindex: number): Endpoint | undefined {
    return this.#endpoints.ofInterface(ifindex);
  }

  /** `namespace/name` of the pod with this address, or the address. */
  nameOf(address: IpAddress): string {
    const pod = this.resolver.endpointOf(address);
    return pod === undefined || pod.podName === '' ? formatIp(address) : `${pod.namespace}/${pod.podName}`;
  }

  /** The node's address in the family of this one. @throws Error if the cluster does not use it */
  nodeAddressFor(peer: IpAddress): IpAddress {
    const own = this.nodeAddresses.find((address) => isIpv6(address) === isIpv6(peer));
    if (own === undefined) throw new Error(`the node has no address in the family of ${formatIp(peer)}`);
    return own;
  }

  /** A number for a connection that the proxy takes. */
  nextConnectionId(): number {
    return ++this.#connections;
  }

  /** `cilium-dbg bpf ct flush`: forgets every connection. No worker may run. */
  flushConntrack(): void {
    for (const map of openConntrack(this.memory, CT_SHARDS)) for (const { key } of map.entries()) map.delete(key);
  }

  /** What policy said to a packet, in the order it was asked, and by which rules. */
  explainPolicy(steps: readonly Step[]): PolicyReason[] {
    return steps.flatMap((step) => {
      if (step.kind !== 'policy') return [];
      const endpoint = this.endpointOfId(step.endpoint)!;
      const labelsOf = (identity: number) => this.identities.get(identity);
      return [explainPolicyStep(step, { memory: this.memory, repository: this.repository, endpoint, labelsOf })];
    });
  }

  /** Everything about what policy says to a flow of an endpoint, and what would let it through. @param peer its address, if known */
  explainFlow(endpoint: Endpoint, flow: FlowKey, peer?: IpAddress): FlowExplanation {
    const address = peer === undefined ? undefined : formatIp(peer);
    return explainFlow(this.repository, endpoint, endpoint.policy, flow, address);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // What went wrong with an earlier change was told to whoever waited for that one.
    this.#settled = this.#settled.catch(() => {}).then(() => this.#reconcile());
    this.#settled.catch(() => {}); // told by settled()
  }

  async #reconcile(): Promise<void> {
    const changes = this.#changes;
    this.#changes = new Changes();
    this.#isScheduled = false;
    this.#isReconciling = true;
    try {
      const [problem] = await this.#reconciler.reconcile(changes);
      if (problem !== undefined) throw problem;
    } finally {
      this.#isReconciling = false;
      if (this.#identityChanges.pending) this.#schedule();
    }
  }
}
