import type { Namespace, Pod } from '@ciliate/k8s';
import { identityLabelsOf, type Labels } from '@ciliate/labels';
import type { PolicyMap } from '@ciliate/maps';
import { bytesOfIp, type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import type { EndpointPolicy, NamedPort } from '@ciliate/policy';

/** A pod on this node, or the node itself, as the agent sees it. The agent alone changes it. */
export interface Endpoint {
  /** 1..4095; of a pod the lowest that was free when it came. */
  readonly id: number;
  /** '' for the node itself, which is called {@link HOST_NAME}. */
  readonly namespace: string;
  readonly name: string;
  /** The first of `addresses`: what its pod calls `podIP`. */
  readonly address: IpAddress;
  /** At most one of each family. */
  readonly addresses: readonly IpAddress[];
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
/** As Cilium's tools call the node itself among endpoints. */
export const HOST_NAME = 'reserved:host';

/** `namespace/name` of a pod, or {@link HOST_NAME}. */
export const podName = ({ namespace, name }: Pick<Endpoint, 'namespace' | 'name'>): string =>
  namespace === '' ? name : `${namespace}/${name}`;

/** The pod's address in the family of another; undefined: it has none. */
export const addressBeside = ({ addresses }: Pick<Endpoint, 'addresses'>, other: IpAddress): IpAddress | undefined =>
  addresses.find((address) => isIpv6(address) === isIpv6(other));

/** The ports of a pod's containers that have names. */
export const namedPortsOf = ({ spec }: Pod): NamedPort[] =>
  spec.containers.flatMap(({ ports }) =>
    ports.flatMap(({ name, protocol, containerPort }) =>
      name === undefined ? [] : [{ name, protocol, port: containerPort }],
    ),
  );

/** Addresses were checked when the objects were decoded. */
export const addressesOf = ({ status }: Pod): IpAddress[] => status.podIPs.map((text) => parseIp(text)!);

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
/** A locally administered address that tells the end of the cable and the pod's first address, of IPv6 the last 4 bytes. */
export const macOf = (end: number, address: IpAddress): Uint8Array =>
  Uint8Array.of(end, isIpv6(address) ? 6 : 0, ...bytesOfIp(address).subarray(-4));
