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
  MAX_ENDPOINTS,
  macOf,
  NODE_END,
  namedPortsOf,
  POD_END,
  podName,
} from './endpoint.ts';
import { AgentError } from './errors.ts';
import { syncPolicyMap } from './policymap_sync.ts';

/** The endpoints of this node: by id, name and address, and in cilium_lxc, where the programs find them. */
export class EndpointTable {
  readonly #memory: Memory;
  readonly #lxc: LxcMap;
  /** By id; 0 is nobody's. */
  readonly #byId: (Endpoint | undefined)[] = [undefined];
  readonly #byName = new Map<string, Endpoint>();
  readonly #byAddress = new Map<IpAddress, Endpoint>();
  #list: readonly Endpoint[] | undefined;

  /** @param node addresses of the node itself, which get their entries here */
  constructor(memory: Memory, node: readonly IpAddress[]) {
    this.#memory = memory;
    this.#lxc = LxcMap.create(memory);
    const nodeMac = macOf(NODE_END, node[0]!);
    const host = { ifindex: HOST_IFINDEX, lxcId: 0, flags: ENDPOINT_F_HOST, mac: nodeMac, nodeMac };
    for (const address of node) this.#lxc.upsert(address, { ...host, secId: IDENTITY_HOST });
  }

  /** In the order of their ids. */
  get list(): readonly Endpoint[] {
    this.#list ??= this.#byId.filter((endpoint) => endpoint !== undefined);
    return this.#list;
  }

  ofId(id: number): Endpoint | undefined {
    return this.#byId[id];
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
    const free = this.#byId.indexOf(undefined, 1);
    const id = free < 0 ? this.#byId.length : free;
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
