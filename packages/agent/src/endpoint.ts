import type { Namespace, ObjectStore, Pod } from '@ciliate/k8s';
import { identityLabelsOf, type Labels } from '@ciliate/labels';
import type { PolicyMap } from '@ciliate/maps';
import { parseIpv4 } from '@ciliate/packet';
import type { EndpointPolicy, NamedPort } from '@ciliate/policy';

/** A pod on this node, as the agent sees it. The agent alone changes it. */
export interface Endpoint {
  /** 1..4095; the lowest that was free when the pod came. */
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
  identity: number;
  labels: Labels;
  /** Of its containers: what port names in ingress rules mean. */
  namedPorts: readonly NamedPort[];
  readonly policyMap: PolicyMap;
  /** What its policy map and the proxy hold it to now. */
  policy: EndpointPolicy;
}

export const FIRST_IFINDEX = 10;
export const MAX_ENDPOINTS = 4095;
/** Of cilium_host. */
export const HOST_IFINDEX = 2;
/** For a cluster that does not say where its node is; from the block for examples, RFC 5737. */
const DEFAULT_NODE_ADDRESS = '192.0.2.1';

export const podName = ({ namespace, name }: Pick<Endpoint, 'namespace' | 'name'>): string => `${namespace}/${name}`;

/** The ports of a pod's containers that have names. */
export const namedPortsOf = ({ spec }: Pod): NamedPort[] =>
  spec.containers.flatMap(({ ports }) =>
    ports.flatMap(({ name, protocol, containerPort }) =>
      name === undefined ? [] : [{ name, protocol, port: containerPort }],
    ),
  );

/** Addresses were checked when the objects were decoded. */
export const addressOf = ({ status }: Pod): number => parseIpv4(status.podIP)!;

/**
 * The address of the node, which all pods are on: what the first pod with a `hostIP` says. It also stands for the address
 * of cilium_host, since address management is not modelled.
 */
export function nodeAddressOf(store: ObjectStore): number {
  const hostIP = store.list('Pod').find(({ status }) => status.hostIP !== undefined)?.status.hostIP;
  return parseIpv4(hostIP ?? DEFAULT_NODE_ADDRESS)!;
}

/** The name of that node: of the first pod that says where it runs. */
export const nodeNameOf = (store: ObjectStore): string | undefined =>
  store.list('Pod').find(({ spec }) => spec.nodeName !== undefined)?.spec.nodeName;

/** The labels that decide a pod's identity. */
export const labelsOf = (pod: Pod, namespace: Namespace | undefined, cluster: string): Labels =>
  identityLabelsOf({
    podLabels: pod.metadata.labels,
    namespaceLabels: namespace?.metadata.labels ?? {},
    namespace: pod.metadata.namespace,
    serviceAccount: pod.spec.serviceAccountName,
    cluster,
  });

export const POD_END = 0x02;
export const NODE_END = 0x06;
/** A locally administered address that tells the end of the cable and the pod's IPv4 address. */
export const macOf = (end: number, address: number): Uint8Array =>
  Uint8Array.of(end, 0, address >>> 24, address >>> 16, address >>> 8, address);
