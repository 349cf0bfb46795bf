import { type Prefix, type PrefixInfo, parsePrefix, prefixOf, type Source } from '@ciliate/identity';
import { didYouMean, type EndpointSlice, type NodeAddress, nearestWord, type ObjectStore } from '@ciliate/k8s';
import { filterIdentityLabels, Labels } from '@ciliate/labels';
import { SERVICE_NAME_LABEL } from '@ciliate/loadbalancer';
import { formatIp, type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import { AgentError } from './errors.ts';
import type { Families } from './families.ts';

/** For a cluster that does not say where its node is; from the blocks for examples, RFC 5737 and RFC 3849. */
const DEFAULT_NODE_ADDRESSES = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;

const HOST = Labels.parse(['reserved:host']);
const REMOTE_NODE = Labels.parse(['reserved:remote-node']);
const HEALTH = Labels.parse(['reserved:health']);
const INGRESS = Labels.parse(['reserved:ingress']);
const KUBE_APISERVER = Labels.parse(['reserved:kube-apiserver']);

/** What is known about one node. */
export interface ClusterNode {
  /** Of the Node; the agent there copies them into what it tells others. */
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly NodeAddress[];
  readonly health: readonly string[];
  readonly ingress: readonly string[];
}

/**
 * The name of the node that all pods are on: of the one that has the address that pods call their `hostIP`, else as the
 * first pod says that names its node, else of the first that there is.
 * @param wanted the agent was told which node it is on; then other pods may be on other nodes
 * @throws AgentError BAD_INPUT if there is no such node
 */
export function localNodeName(store: ObjectStore, wanted?: string): string | undefined {
  const names = [...store.list('Node'), ...store.list('CiliumNode')].map(({ metadata }) => metadata.name);
  if (wanted !== undefined) return knownNode(wanted, [...names, ...store.list('Pod').map(({ spec }) => spec.nodeName)]);
  const hostIP = hostIpOf(store);
  const hasHostIP = (name: string) => nodeOf(store, name)!.addresses.some(({ ip }) => ip === hostIP);
  const told = store.list('Pod').find(({ spec }) => spec.nodeName !== undefined)?.spec.nodeName;
  return (hostIP === undefined ? undefined : names.find(hasHostIP)) ?? told ?? names[0];
}

/**
 * The addresses of that node, IPv4 first: in each family what the first pod with such a `hostIPs` says, else its internal
 * one. They also stand for the addresses of cilium_host, since address management is not modelled.
 */
export function nodeAddressesOf(store: ObjectStore, { ipv4, ipv6 }: Families, wanted?: string): IpAddress[] {
  const known = knownNodeAddresses(store, wanted);
  return [
    ...(ipv4 ? [known.find((one) => !isIpv6(one)) ?? parseIp(DEFAULT_NODE_ADDRESSES.ipv4)!] : []),
    ...(ipv6 ? [known.find(isIpv6) ?? parseIp(DEFAULT_NODE_ADDRESSES.ipv6)!] : []),
  ];
}

/** What objects say of that node's addresses; none: it gets addresses of examples, as every such node does. */
export function knownNodeAddresses(store: ObjectStore, wanted?: string): IpAddress[] {
  const name = localNodeName(store, wanted);
  const own = name === undefined ? [] : (nodeOf(store, name)?.addresses ?? []);
  const internal = own.filter(({ type }) => type === 'InternalIP').map(({ ip }) => parseIp(ip)!);
  const pods = store.list('Pod').filter(({ spec }) => wanted === undefined || spec.nodeName === wanted);
  const told = pods.flatMap(({ status }) => status.hostIPs.map((text) => parseIp(text)!));
  return [...told, ...internal];
}

function knownNode(wanted: string, names: readonly (string | undefined)[]): string {
  const known = [...new Set(names.filter((name) => name !== undefined))];
  if (known.includes(wanted)) return wanted;
  const there = known.length === 0 ? 'no object names one' : `there are: ${known.join(', ')}`;
  throw new AgentError(
    'BAD_INPUT',
    `--node ${wanted}: no such node (${there})${didYouMean(nearestWord(wanted, known))}`,
    {
      node: wanted,
    },
  );
}

const hostIpOf = (store: ObjectStore): string | undefined =>
  store.list('Pod').find(({ status }) => status.hostIP !== undefined)?.status.hostIP;

/** A Node without a CiliumNode stands for the one that the agent there would make of it. */
export function nodeOf(store: ObjectStore, name: string): ClusterNode | undefined {
  const node = store.get({ kind: 'Node', namespace: '', name });
  const told = store.get({ kind: 'CiliumNode', namespace: '', name });
  if (node === undefined && told === undefined) return undefined;
  const addresses = [...(told?.spec.addresses ?? []), ...(node?.status.addresses ?? [])];
  return {
    labels: (node ?? told)!.metadata.labels,
    addresses: [...new Map(addresses.map((one) => [one.ip, one])).values()],
    health: told?.spec.health ?? [],
    ingress: told?.spec.ingress ?? [],
  };
}

/** For a node that no object describes. */
export const unknownNode = (addresses: readonly IpAddress[]): ClusterNode => ({
  ...{ labels: {}, health: [], ingress: [] },
  addresses: addresses.map((address) => ({ type: 'InternalIP', ip: formatIp(address) })),
});

/** The labels of the host endpoint. Source: pkg/endpoint/endpoint.go, InitWithNodeLabels. */
export function hostLabelsOf(store: ObjectStore, localName: string): Labels {
  const labels = Object.entries(nodeOf(store, localName)?.labels ?? {});
  const own = Labels.of(labels.map(([key, value]) => ({ source: 'k8s', key, value })));
  return Labels.of([...HOST, ...filterIdentityLabels(own)]);
}

/** What is known of a node's addresses from its objects. */
export function nodePrefixes(store: ObjectStore, name: string, localName: string): (readonly [Prefix, PrefixInfo])[] {
  const node = nodeOf(store, name);
  if (node === undefined) return [];
  return name === localName ? localNodePrefixes(node) : remoteNodePrefixes(node, 'custom-resource');
}

const localNodePrefixes = ({ addresses, health, ingress }: ClusterNode): (readonly [Prefix, PrefixInfo])[] => [
  ...addresses.map(({ ip }) => [parsePrefix(ip), { source: 'local', labels: HOST }] as const),
  ...health.map((ip) => [parsePrefix(ip), { source: 'local', labels: HEALTH }] as const),
  ...ingress.map((ip) => [parsePrefix(ip), { source: 'local', labels: INGRESS }] as const),
];

/** What another node's addresses mean. Source: pkg/node/manager/manager.go, NodeUpdated. */
export function remoteNodePrefixes(
  { addresses, health, ingress }: ClusterNode,
  source: Source,
): (readonly [Prefix, PrefixInfo])[] {
  const tunnelPeer = tunnelAddressOf(addresses);
  return [
    ...addresses.map(({ type, ip }) => {
      const peer = type === 'CiliumInternalIP' ? tunnelPeer : undefined;
      return [parsePrefix(ip), { source, labels: REMOTE_NODE, tunnelPeer: peer }] as const;
    }),
    ...health.map((ip) => [parsePrefix(ip), { source, labels: HEALTH, tunnelPeer }] as const),
    ...ingress.map((ip) => [parsePrefix(ip), { source, labels: INGRESS, tunnelPeer }] as const),
  ];
}

/** Where a node's end of tunnels is; they run over IPv4. Source: pkg/node/addressing, ExtractNodeIP. */
export function tunnelAddressOf(addresses: readonly NodeAddress[]): IpAddress | undefined {
  const own = addresses.filter(({ ip }) => !isIpv6(parseIp(ip)!));
  const found = own.find(({ type }) => type === 'InternalIP') ?? own.find(({ type }) => type === 'ExternalIP');
  return found && parseIp(found.ip);
}

/** The addresses that a node has in its objects, of the families in use. */
export const ownAddressesOf = (store: ObjectStore, name: string, { ipv4, ipv6 }: Families): IpAddress[] =>
  (nodeOf(store, name)?.addresses ?? [])
    .map(({ ip }) => parseIp(ip)!)
    .filter((address) => (isIpv6(address) ? ipv6 : ipv4));

/** For the node itself, which has its first addresses whatever objects say. */
export const hostPrefix = (address: IpAddress): readonly [Prefix, PrefixInfo] => [
  prefixOf(address),
  { source: 'local', labels: HOST },
];

/**
 * Where the API server listens: the endpoints of the service `kubernetes` of the namespace `default`.
 * Source: pkg/k8s/watchers/endpoints.go.
 */
export const apiServerPrefixes = (store: ObjectStore): (readonly [Prefix, PrefixInfo])[] =>
  store
    .list('EndpointSlice')
    .filter(isOfApiServer)
    .flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses))
    .map((ip) => [parsePrefix(ip), { source: 'kube-apiserver', labels: KUBE_APISERVER }]);

const isOfApiServer = ({ metadata: { namespace, labels } }: EndpointSlice): boolean =>
  namespace === 'default' && labels[SERVICE_NAME_LABEL] === 'kubernetes';
