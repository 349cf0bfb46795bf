import { IDENTITY_HOST, IDENTITY_WORLD, type IdentityAllocator } from '@ciliate/identity';
import type { Namespace, ObjectStore, Pod } from '@ciliate/k8s';
import { identityLabelsOf, type Labels } from '@ciliate/labels';
import { ENDPOINT_F_HOST, IpcacheMap, LxcMap, type Memory, PolicyMap } from '@ciliate/maps';
import { parseIpv4 } from '@ciliate/packet';
import type { EndpointPolicy, NamedPort, Subject } from '@ciliate/policy';
import { AgentError } from './errors.ts';
import { syncPolicyMap } from './policymap_sync.ts';

/** A pod on this node, as the agent sees it. */
export interface Endpoint {
  /** 1..4095, by the order of namespace and name. */
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly address: number;
  /** Of the host's end of its interface. */
  readonly ifindex: number;
  /** 6 bytes, the pod's end. */
  readonly mac: Uint8Array;
  /** The host's end: where the pod sends all its packets. */
  readonly nodeMac: Uint8Array;
  readonly identity: number;
  readonly labels: Labels;
  /** Of its containers: what port names in ingress rules mean. */
  readonly namedPorts: readonly NamedPort[];
  readonly policyMap: PolicyMap;
  /** What its policy map and the proxy hold it to now. */
  policy: EndpointPolicy;
}

export const FIRST_IFINDEX = 10;
const MAX_ENDPOINTS = 4095;
/** Of cilium_host. */
const HOST_IFINDEX = 2;
/** For a cluster that does not say where its node is; from the block for examples, RFC 5737. */
const DEFAULT_NODE_ADDRESS = '192.0.2.1';

export const podName = ({ namespace, name }: Pick<Endpoint, 'namespace' | 'name'>): string => `${namespace}/${name}`;

/**
 * Makes an endpoint of each pod: identity, policy map, and its places in cilium_lxc and the ipcache. The node itself and
 * the world get theirs too.
 * @param resolve the policy of an endpoint; asked when all identities are known
 * @throws AgentError BAD_INPUT for two pods with one address, IdentityError
 */
export async function createEndpoints(
  memory: Memory,
  store: ObjectStore,
  allocator: IdentityAllocator,
  cluster: string,
  resolve: (subject: Subject, namedPorts: readonly NamedPort[]) => EndpointPolicy,
): Promise<Endpoint[]> {
  const pods = [...store.list('Pod')].sort((a, b) => (podName(a.metadata) < podName(b.metadata) ? -1 : 1));
  checkPods(pods);
  const namespaces = new Map(store.list('Namespace').map((namespace) => [namespace.metadata.name, namespace]));
  const allocated = [];
  for (const pod of pods) {
    const labels = labelsOf(pod, namespaces.get(pod.metadata.namespace), cluster);
    allocated.push({ pod, labels, identity: (await allocator.allocate(labels)).identity });
  }
  const lxc = LxcMap.create(memory);
  const ipcache = IpcacheMap.create(memory);
  const noTunnel = { tunnelEndpoint: 0, key: 0, flags: 0 };
  const node = nodeAddressOf(store);
  const nodeMac = macOf(NODE_END, node);
  lxc.upsert(node, { ifindex: HOST_IFINDEX, lxcId: 0, flags: ENDPOINT_F_HOST, mac: nodeMac, nodeMac, secId: 0 });
  ipcache.upsert(node, 32, { identity: IDENTITY_HOST, ...noTunnel });
  ipcache.upsert(0, 0, { identity: IDENTITY_WORLD, ...noTunnel });
  return allocated.map(({ pod, labels, identity }, index) => {
    const id = index + 1;
    const address = parseIpv4(pod.status.podIP)!;
    const ifindex = FIRST_IFINDEX + index;
    const mac = macOf(POD_END, address);
    const nodeMac = macOf(NODE_END, address);
    const policyMap = PolicyMap.create(memory, id);
    const namedPorts = namedPortsOf(pod);
    const policy = resolve({ identity, labels }, namedPorts);
    syncPolicyMap(policyMap, policy, 0); // no policy yet, so no redirect
    lxc.upsert(address, { ifindex, lxcId: id, flags: 0, mac, nodeMac, secId: identity });
    ipcache.upsert(address, 32, { identity, ...noTunnel });
    const { namespace, name } = pod.metadata;
    return { id, namespace, name, address, ifindex, mac, nodeMac, identity, labels, namedPorts, policyMap, policy };
  });
}

/** The ports of a pod's containers that have names. */
export const namedPortsOf = ({ spec }: Pod): NamedPort[] =>
  spec.containers.flatMap(({ ports }) =>
    ports.flatMap(({ name, protocol, containerPort }) =>
      name === undefined ? [] : [{ name, protocol, port: containerPort }],
    ),
  );

/**
 * The address of the node, which all pods are on: what the first pod with a `hostIP` says. It also stands for the address
 * of cilium_host, since address management is not modelled.
 */
export function nodeAddressOf(store: ObjectStore): number {
  const hostIP = store.list('Pod').find(({ status }) => status.hostIP !== undefined)?.status.hostIP;
  return parseIpv4(hostIP ?? DEFAULT_NODE_ADDRESS)!;
}

function checkPods(pods: readonly Pod[]): void {
  if (pods.length > MAX_ENDPOINTS)
    throw new AgentError('BAD_INPUT', `${pods.length} pods: a node has at most ${MAX_ENDPOINTS} endpoints`);
  const byAddress = new Map<string, Pod>();
  for (const pod of pods) {
    const other = byAddress.get(pod.status.podIP);
    if (other !== undefined) {
      const { file, line, column } = pod.position;
      const names = `${podName(pod.metadata)} and ${podName(other.metadata)}`;
      throw new AgentError(
        'BAD_INPUT',
        `${file}:${line}:${column}: ${names} both have the address ${pod.status.podIP}`,
      );
    }
    byAddress.set(pod.status.podIP, pod);
  }
}

/** The labels that decide a pod's identity. */
export const labelsOf = (pod: Pod, namespace: Namespace | undefined, cluster: string): Labels =>
  identityLabelsOf({
    podLabels: pod.metadata.labels,
    namespaceLabels: namespace?.metadata.labels ?? {},
    namespace: pod.metadata.namespace,
    serviceAccount: pod.spec.serviceAccountName,
    cluster,
  });

const POD_END = 0x02;
const NODE_END = 0x06;
/** A locally administered address that tells the end of the cable and the pod's IPv4 address. */
const macOf = (end: number, address: number): Uint8Array =>
  Uint8Array.of(end, 0, address >>> 24, address >>> 16, address >>> 8, address);
