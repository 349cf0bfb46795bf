import type { Namespace, ObjectStore, Pod } from '@ciliate/k8s';
import { identityLabelsOf, type Labels } from '@ciliate/labels';
import type { PolicyMap } from '@ciliate/maps';
import { bytesOfIp, type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import type { EndpointPolicy, NamedPort } from '@ciliate/policy';
import type { Families } from './families.ts';

/** A pod on this node, as the agent sees it. The agent alone changes it. */
export interface Endpoint {
  /** 1..4095; the lowest that was free when the pod came. */
  readonly id: number;
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
/** For a cluster that does not say where its node is; from the blocks for examples, RFC 5737 and RFC 3849. */
const DEFAULT_NODE_ADDRESSES = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;

export const podName = ({ namespace, name }: Pick<Endpoint, 'namespace' | 'name'>): string => `${namespace}/${name}`;

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

/**
 * The addresses of the node, which all pods are on, IPv4 first: in each family what the first pod with such a `hostIPs`
 * says. They also stand for the addresses of cilium_host, since address management is not modelled.
 */
export function nodeAddressesOf(store: ObjectStore, { ipv4, ipv6 }: Families): IpAddress[] {
  const told = store.list('Pod').flatMap(({ status }) => status.hostIPs.map((text) => parseIp(text)!));
  return [
    ...(ipv4 ? [told.find((one) => !isIpv6(one)) ?? parseIp(DEFAULT_NODE_ADDRESSES.ipv4)!] : []),
    ...(ipv6 ? [told.find(isIpv6) ?? parseIp(DEFAULT_NODE_ADDRESSES.ipv6)!] : []),
  ];
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
/** A locally administered address that tells the end of the cable and the pod's first address, of IPv6 the last 4 bytes. */
export const macOf = (end: number, address: IpAddress): Uint8Array =>
  Uint8Array.of(end, isIpv6(address) ? 6 : 0, ...bytesOfIp(address).subarray(-4));
