import { DEFAULT_NODE } from '@ciliate/bpf';
import { IDENTITY_HOST } from '@ciliate/identity';
import type { Pod } from '@ciliate/k8s';
import type { Labels } from '@ciliate/labels';
import { ENDPOINT_F_HOST, LxcMap, type Memory, PolicyMap } from '@ciliate/maps';
import type { IpAddress } from '@ciliate/packet';
import type { EndpointPolicy } from '@ciliate/policy';
import {
  addressesOf,
  type Endpoint,
  FIRST_IFINDEX,
  HOST_IFINDEX,
  HOST_NAME,
  MAX_ENDPOINTS,
  macOf,
  NODE_END,
  namedPortsOf,
  POD_END,
  podName,
} from './endpoint.ts';
import { AgentError } from './errors.ts';
import { syncPolicyMap } from './policymap_sync.ts';

/** As the programs are compiled with it. Cilium takes any that is free; this one leaves the small numbers to pods. */
const HOST_ID = DEFAULT_NODE.hostEndpointId;

/** The endpoints of this node: by id, name and address, and in cilium_lxc, where the programs find them. */
export class EndpointTable {
  /** The node itself. It has a policy map of its own, and no name or address among those of pods. */
  readonly host: Endpoint;
  readonly #memory: Memory;
  readonly #lxc: LxcMap;
  /** By id; 0 is nobody's. */
  readonly #byId: (Endpoint | undefined)[] = [undefined];
  readonly #byName = new Map<string, Endpoint>();
  readonly #byAddress = new Map<IpAddress, Endpoint>();
  #hostAddresses: ReadonlySet<IpAddress> = new Set();
  #list: readonly Endpoint[] | undefined;

  /**
   * @param node addresses of the node itself
   * @param labels of the node itself
   * @param policy of the node itself, without redirects
   */
  constructor(memory: Memory, node: readonly IpAddress[], labels: Labels, policy: EndpointPolicy) {
    this.#memory = memory;
    this.#lxc = LxcMap.create(memory);
    const address = node[0]!;
    const mac = macOf(NODE_END, address);
    const who = { id: HOST_ID, namespace: '', name: HOST_NAME, identity: IDENTITY_HOST, labels };
    const interfaces = { address, addresses: node, ifindex: HOST_IFINDEX, mac, nodeMac: mac };
    const policyMap = PolicyMap.create(memory, HOST_ID);
    this.host = { ...who, ...interfaces, namedPorts: [], policyMap, policy };
    syncPolicyMap(policyMap, policy);
    this.setHostAddresses([]);
  }

  /** These, and those that it had first, are the addresses of the node itself. */
  setHostAddresses(more: Iterable<IpAddress>): void {
    const { addresses, ifindex, mac, nodeMac } = this.host;
    const now = new Set([...addresses, ...more]);
    const host = { ifindex, lxcId: 0, flags: ENDPOINT_F_HOST, mac, nodeMac, secId: IDENTITY_HOST };
    for (const address of now) if (!this.#byAddress.has(address)) this.#lxc.upsert(address, host);
    for (const address of this.#hostAddresses)
      if (!now.has(address) && !this.#byAddress.has(address)) this.#lxc.delete(address);
    this.#hostAddresses = now;
  }

  isHostAddress(address: IpAddress): boolean {
    return this.#hostAddresses.has(address);
  }

  /** Pods, in the order of their ids. */
  get list(): readonly Endpoint[] {
    this.#list ??= this.#byId.filter((endpoint) => endpoint !== undefined);
    return this.#list;
  }

  /** Everybody who has a policy here. */
  get withHost(): readonly Endpoint[] {
    return [...this.list, this.host];
  }

  ofId(id: number): Endpoint | undefined {
    return id === HOST_ID ? this.host : this.#byId[id];
  }

  /** @param ifindex of the host's end */
  ofInterface(ifindex: number): Endpoint | undefined {
    return this.#byId[ifindex - FIRST_IFINDEX + 1];
  }

  /** @param name `namespace/name` */
  ofName(name: string): Endpoint | undefined {
    return this.#byName.get(name);
  }

  ofAddress(address: IpAddress): Endpoint | undefined {
    return this.#byAddress.get(address);
  }

  /**
   * Makes an endpoint of a pod, with a policy map that says what `policy` says. No packet finds it before {@link publish}.
   * @param policy without redirects
   * @throws AgentError BAD_INPUT if the node is full
   */
  add(pod: Pod, who: { identity: number; labels: Labels }, policy: EndpointPolicy): Endpoint {
    const id = this.#freeId();
    if (id > MAX_ENDPOINTS) throw new AgentError('BAD_INPUT', `a node has at most ${MAX_ENDPOINTS} endpoints`);
    const { namespace, name } = pod.metadata;
    const addresses = addressesOf(pod);
    const address = addresses[0]!;
    const policyMap = PolicyMap.create(this.#memory, id);
    const macs = { mac: macOf(POD_END, address), nodeMac: macOf(NODE_END, address) };
    const interfaces = { ifindex: FIRST_IFINDEX + id - 1, ...macs };
    const endpoint = { id, namespace, name, address, addresses, ...interfaces, ...who };
    const added: Endpoint = { ...endpoint, namedPorts: namedPortsOf(pod), policyMap, policy };
    syncPolicyMap(policyMap, policy);
    this.#byId[id] = added;
    this.#byName.set(podName(added), added);
    for (const one of addresses) this.#byAddress.set(one, added);
    this.#list = undefined;
    return added;
  }

  #freeId(): number {
    const next = this.#byId.length === HOST_ID ? HOST_ID + 1 : this.#byId.length;
    const free = this.#byId.findIndex((endpoint, id) => endpoint === undefined && id > 0 && id !== HOST_ID);
    return free < 0 ? next : free;
  }

  /** The programs find the endpoint from now on, with the identity that it has now. */
  publish({ id, addresses, ifindex, mac, nodeMac, identity }: Endpoint): void {
    for (const address of addresses)
      this.#lxc.upsert(address, { ifindex, lxcId: id, flags: 0, mac, nodeMac, secId: identity });
  }

  /** The pod is gone: it keeps its id until {@link remove}, but its name and addresses may be another's. */
  withdraw(endpoint: Endpoint): void {
    if (this.#byName.get(podName(endpoint)) === endpoint) this.#byName.delete(podName(endpoint));
    for (const address of endpoint.addresses)
      if (this.#byAddress.get(address) === endpoint) this.#byAddress.delete(address);
  }

  /** No packet finds the endpoint any more, and its policy map is deleted. */
  remove(endpoint: Endpoint): void {
    for (const address of endpoint.addresses)
      if (this.#lxc.get(address)?.lxcId === endpoint.id) this.#lxc.delete(address);
    endpoint.policyMap.destroy();
    this.#byId[endpoint.id] = undefined;
    this.#list = undefined;
  }
}
