import { type IpIdentityPair, prefixOf } from '@ciliate/identity';
import type { CiliumEndpoint, ObjectStore } from '@ciliate/k8s';
import { formatIp, type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import type { Endpoint } from '../endpoint.ts';
import { podName } from '../endpoint.ts';
import type { Registry, RemoteChanges } from '../registry.ts';

/** Nobody wrote such an object down. */
const MADE_HERE = { file: 'the agent', line: 1, column: 1 };

/**
 * Agents tell each other of their pods by CiliumEndpoint objects, each under its pod's name. An agent knows its own by the address of its
 * node. Nodes tell of themselves by CiliumNodes, which the agent reads as it finds them.
 * Source: pkg/k8s/watchers/cilium_endpoint.go, pkg/endpoint/... (EndpointSynchronizer).
 */
export class EndpointRegistry implements Registry {
  readonly #store: ObjectStore;
  readonly #hostIp: IpAddress;
  readonly #ips = new Map<string, IpIdentityPair | undefined>();
  /** Of this agent, by the pods' names. */
  readonly #own = new Map<string, CiliumEndpoint>();
  readonly #unwatch: () => void;

  /** @param onChange other agents told something */
  constructor(store: ObjectStore, hostIp: IpAddress, onChange: () => void) {
    this.#store = store;
    this.#hostIp = hostIp;
    this.#unwatch = store.watch(['CiliumEndpoint'], (event) => {
      const before = event.type === 'modified' ? this.#pairsOf(event.old) : new Map();
      const pairs = this.#pairsOf(event.object);
      for (const key of before.keys()) this.#ips.set(key, undefined);
      for (const [key, pair] of pairs) this.#ips.set(key, event.type === 'deleted' ? undefined : pair);
      if (before.size + pairs.size > 0) onChange();
    });
  }

  take(): RemoteChanges {
    const changes = { ips: new Map(this.#ips), nodes: new Map() };
    this.#ips.clear();
    return changes;
  }

  async announcePod(endpoint: Endpoint): Promise<void> {
    const object = endpointObject(endpoint, formatIp(this.#hostIp));
    this.#own.set(podName(endpoint), object);
    this.#store.apply(object);
  }

  async withdrawPod(endpoint: Endpoint): Promise<void> {
    const own = this.#own.get(podName(endpoint));
    if (own?.status.id !== endpoint.id) return; // a pod of that name is here again
    this.#own.delete(podName(endpoint));
    this.#drop(own);
  }

  async announceNode(): Promise<void> {}

  async sync(): Promise<void> {
    for (const own of this.#own.values()) this.#store.apply(own);
  }

  async close(): Promise<void> {
    this.#unwatch();
    for (const own of this.#own.values()) this.#drop(own);
    this.#own.clear();
  }

  /** Unless it is another agent's by now. */
  #drop({ metadata: { namespace, name }, status: { node } }: CiliumEndpoint): void {
    const ref = { kind: 'CiliumEndpoint', namespace, name } as const;
    if (this.#store.get(ref)?.status.node === node) this.#store.delete(ref);
  }

  /** By address; none: it is this agent's own. */
  #pairsOf({ metadata, status }: CiliumEndpoint): Map<string, IpIdentityPair> {
    const hostIp = parseIp(status.node)!;
    if (hostIp === this.#hostIp) return new Map();
    const { identity, namedPorts } = status;
    const { namespace, name } = metadata;
    return new Map(
      status.addresses.map((text) => {
        const address = parseIp(text)!;
        const pair = { prefix: prefixOf(address), hostIp, identity, encryptKey: 0, metadata: '' };
        return [formatIp(address), { ...pair, namespace, podName: name, namedPorts }];
      }),
    );
  }
}

const endpointObject = (endpoint: Endpoint, node: string): CiliumEndpoint => ({
  kind: 'CiliumEndpoint',
  position: MADE_HERE,
  metadata: { name: endpoint.name, namespace: endpoint.namespace, labels: {}, annotations: {} },
  status: {
    ...{ id: endpoint.id, identity: endpoint.identity, node },
    addresses: [...endpoint.addresses].sort((a, b) => Number(isIpv6(a)) - Number(isIpv6(b))).map(formatIp),
    namedPorts: [...endpoint.namedPorts],
  },
});
