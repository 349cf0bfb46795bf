import {
  Agent,
  type AgentOptions,
  addressBeside,
  CrdIdentityGc,
  type DatapathFlags,
  type Endpoint,
  PROXY_PORT_DNS,
  PROXY_PORT_HTTP,
  PROXY_PORT_KAFKA,
  PROXY_PORT_TLS,
  podName,
} from '@ciliate/agent';
import { ProxyServer } from '@ciliate/envoy';
import { formatCompact } from '@ciliate/hubble';
import type { K8sObject, ObjectRef, ObjectStore, Pod } from '@ciliate/k8s';
import { parseIp } from '@ciliate/packet';
import type { Logger } from 'pino';
import { dnsConnection, serveDns } from './dns_service.ts';
import { DnsRedirect } from './net/dns_redirect.ts';
import { Network } from './net/network.ts';
import { ProxyRedirect } from './net/proxy_redirect.ts';
import type { SocketAddress } from './net/socket_address.ts';
import { PodFront } from './pod/pod_front.ts';
import { Resolver } from './pod/resolver.ts';
import { ClusterDns } from './servers/cluster_dns.ts';
import { serversOf } from './servers/declaration.ts';
import { PodServers } from './servers/pod_servers.ts';
import { Topic } from './topic.ts';
import { type WorldHost, WorldServers } from './world.ts';

export interface LiveClusterOptions
  extends DatapathFlags,
    Pick<AgentOptions, 'kvstore' | 'clusterId' | 'identityAllocationMode'> {
  readonly store: ObjectStore;
  readonly seed: number;
  readonly log: Logger;
  readonly enablePolicy?: 'default' | 'always' | 'never';
  readonly dnsRejectWith?: 'refused' | 'nameError';
  /** `--envoy-websocket`: the HTTP proxy lets connections become WebSockets, where rules allow the request. */
  readonly envoyWebsocket?: boolean;
  /** Worker threads of the L7 proxy. */
  readonly proxyWorkers?: number;
  /** Who is outside of the cluster. */
  readonly world?: readonly WorldHost[];
}

/** Where clients become a pod. */
export interface PodAddresses {
  /** `namespace/name`. */
  readonly pod: string;
  readonly address: string;
  /** Ports on 127.0.0.1. */
  readonly socksPort: number;
  readonly dnsPort: number;
}

interface LivePod {
  readonly object: Pod;
  readonly front: PodFront;
  readonly servers: PodServers;
}

/** A small cluster on loopback: an agent, emulated wires, real servers behind pods' addresses, and ways in for real clients. */
export class LiveCluster {
  readonly agent: Agent;
  /** Of the L7 proxy; the agent tells it what policy says. */
  readonly proxy: ProxyServer;
  /** Lines as `hubble observe` prints them. */
  readonly flows = new Topic<string>();
  /** What a failure that a client saw stands for. */
  readonly notes = new Topic<{ readonly pod: string; readonly text: string }>();
  readonly #options: LiveClusterOptions;
  readonly #network: Network;
  readonly #redirect: ProxyRedirect;
  readonly #dns: ClusterDns;
  readonly #resolver: Resolver;
  readonly #world: WorldServers;
  readonly #pods = new Map<Endpoint, LivePod>();
  readonly #collector: NodeJS.Timeout;
  readonly #syncer: NodeJS.Timeout;
  /** The operator's part for identities that are objects. */
  readonly #identityGc: CrdIdentityGc;
  readonly #gcTimer: NodeJS.Timeout;
  /** Changes go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** @throws what is wrong with the objects */
  static async start(options: LiveClusterOptions): Promise<LiveCluster> {
    for (const pod of options.store.list('Pod')) serversOf(pod);
    let cluster: LiveCluster | undefined;
    const { seed, proxyWorkers = 1, envoyWebsocket: websocket = false } = options;
    const proxy = await ProxyServer.start({
      ...{ seed, workers: proxyWorkers, http: { websocket } },
      onAccessLog: (entries) => {
        if (cluster === undefined) return;
        for (const { record } of entries) cluster.#network.log(record);
      },
    });
    let agent: Agent | undefined;
    try {
      agent = await Agent.start({ ...options, proxies: [proxy] });
      const ports = new Map([
        [PROXY_PORT_HTTP, await proxy.listen({ name: 'cilium-http-ingress' })],
        [PROXY_PORT_KAFKA, await proxy.listen({ name: 'cilium-proxylib-ingress', parser: 'kafka' })],
        [PROXY_PORT_TLS, await proxy.listen({ name: 'cilium-proxylib-ingress-tls', parser: 'tls' })],
      ]);
      cluster = new LiveCluster(options, agent, proxy, ports);
      await cluster.#redirect.listen();
      await cluster.#world.listen();
      await cluster.#syncPods();
      return cluster;
    } catch (error) {
      await cluster?.stop();
      if (cluster === undefined) {
        await agent?.stop();
        await proxy.stop();
      }
      throw error;
    }
  }

  private constructor(
    options: LiveClusterOptions,
    agent: Agent,
    proxy: ProxyServer,
    ports: ReadonlyMap<number, number>,
  ) {
    this.#options = options;
    this.agent = agent;
    this.proxy = proxy;
    const onFlow = (flow: Parameters<typeof formatCompact>[0]): void => this.flows.publish(formatCompact(flow));
    this.#network = new Network({ agent, onFlow, nowNs });
    this.#redirect = new ProxyRedirect(agent, this.#network, ports);
    const dns = new DnsRedirect(agent, this.#network, nowNs);
    this.#network.onRedirectedDatagram = (redirected) => dns.datagram(redirected);
    this.#network.onRedirectedConnection = (redirected, port) => {
      if (port === PROXY_PORT_DNS) dns.connection(redirected);
      else this.#redirect.take(redirected, port);
    };
    this.#world = new WorldServers(options.world ?? []);
    this.#network.world.accept = (end) => this.#world.accept(end);
    this.#dns = new ClusterDns(options.store, this.#world.names);
    this.#resolver = new Resolver(this.#network, this.#dnsServer);
    this.#collector = setInterval(() => void agent.collectNames(nowNs()), COLLECT_MS).unref();
    const onFailure = (err: unknown): void => options.log.error({ err }, 'the store cannot be kept up to date');
    this.#syncer = setInterval(() => void agent.syncKvstore().catch(onFailure), SYNC_MS).unref();
    this.#identityGc = new CrdIdentityGc({ store: options.store, nowMs: Date.now });
    this.#gcTimer = setInterval(() => this.#identityGc.run(), IDENTITY_GC_MS).unref();
  }

  /** In the order of the endpoints' ids. */
  get pods(): PodAddresses[] {
    return this.agent.endpoints.flatMap((endpoint) => {
      const live = this.#pods.get(endpoint);
      if (live === undefined) return [];
      const { socksPort, dnsPort } = live.front;
      return [{ pod: podName(endpoint), address: live.object.status.podIP, socksPort, dnsPort }];
    });
  }

  /** @param name `namespace/name`, or a name in the namespace `default` */
  pod(name: string): PodAddresses | undefined {
    const full = name.includes('/') ? name : `default/${name}`;
    return this.pods.find(({ pod }) => pod === full);
  }

  /** Resolves when the objects are in force. @throws what is wrong with them; all that is right is in force */
  apply(objects: readonly K8sObject[]): Promise<{ ref: ObjectRef; what: 'added' | 'modified' | 'unchanged' }[]> {
    return this.#inTurn(async () => {
      for (const object of objects) if (object.kind === 'Pod') serversOf(object);
      const { store } = this.#options;
      const done = objects.map((object) => ({ ref: refOf(object), what: store.apply(object) }));
      await this.#settle();
      return done;
    });
  }

  /** @returns those that were there */
  delete(refs: readonly ObjectRef[]): Promise<ObjectRef[]> {
    return this.#inTurn(async () => {
      const gone = refs.filter((ref) => this.#options.store.delete(ref));
      await this.#settle();
      return gone;
    });
  }

  /** Ends every connection, server and thread. */
  async stop(): Promise<void> {
    clearInterval(this.#collector);
    clearInterval(this.#syncer);
    clearInterval(this.#gcTimer);
    this.#identityGc.close();
    await this.#last.catch(() => {});
    for (const { front } of this.#pods.values()) front.close();
    this.#redirect.close();
    this.#network.close();
    await Promise.all([...[...this.#pods.values()].map(({ servers }) => servers.close()), this.#world.close()]);
    await this.agent.stop();
    await this.proxy.stop();
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#last.catch(() => {}).then(step);
    this.#last = result;
    return result;
  }

  async #settle(): Promise<void> {
    try {
      await this.agent.settled();
    } finally {
      await this.#syncPods();
    }
  }

  /** Every endpoint has its servers and its ways in, and no other has. */
  async #syncPods(): Promise<void> {
    this.#network.reload();
    const { store } = this.#options;
    for (const [endpoint, live] of this.#pods) {
      const { namespace, name } = endpoint;
      const now = store.get({ kind: 'Pod', namespace, name });
      if (this.agent.endpointOfId(endpoint.id) === endpoint && now === live.object) continue;
      this.#pods.delete(endpoint);
      live.front.close();
      await live.servers.close();
    }
    for (const endpoint of this.agent.endpoints) {
      const { namespace, name } = endpoint;
      const object = store.get({ kind: 'Pod', namespace, name });
      if (object !== undefined && !this.#pods.has(endpoint)) await this.#startPod(endpoint, object);
    }
  }

  async #startPod(endpoint: Endpoint, object: Pod): Promise<void> {
    const declarations = serversOf(object);
    const servers = await PodServers.start(object, declarations, this.#options.store);
    const stack = this.#network.stackOf(endpoint);
    const dnsPort = declarations.find(({ kind }) => kind === 'dns')?.port;
    serveDns(stack, dnsPort, this.#dns);
    stack.accept = (end) => {
      if (end.local.port !== dnsPort) return servers.accept(end);
      end.events = dnsConnection(end, this.#dns);
      return true;
    };
    const onNote = (pod: string, text: string): void => this.notes.publish({ pod, text });
    const parts = { network: this.#network, resolver: this.#resolver, dnsServer: this.#dnsServer, onNote };
    this.#pods.set(endpoint, { object, servers, front: await PodFront.start(endpoint, parts) });
  }

  /** As in the resolv.conf of every pod: the service kube-dns. */
  readonly #dnsServer = (pod: Endpoint): SocketAddress | undefined => {
    const service = this.#options.store.get({ kind: 'Service', namespace: 'kube-system', name: 'kube-dns' });
    const addresses = (service?.spec.clusterIPs ?? []).map((text) => parseIp(text)!);
    const address = addresses.find((one) => addressBeside(pod, one) !== undefined);
    return address === undefined ? undefined : { address, port: 53 };
  };
}

/** How often names are looked at for their end. */
const COLLECT_MS = 10_000;
/** As Cilium's --kvstore-periodic-sync. */
const SYNC_MS = 5 * 60_000;
/** As Cilium's --identity-gc-interval. */
const IDENTITY_GC_MS = 15 * 60_000;
/** Since 1970, and never going back. */
const nowNs = (): bigint => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));

const refOf = ({ kind, metadata: { namespace, name } }: K8sObject): ObjectRef => ({ kind, namespace, name });
