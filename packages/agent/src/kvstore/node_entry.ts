import type { NodeAddress } from '@ciliate/k8s';
import { isIpv6, parseIp } from '@ciliate/packet';
import { AgentError } from '../errors.ts';
import type { ClusterNode } from '../nodes.ts';

/** Where agents tell each other of their nodes: `<cluster>/<node>` follows. Source: pkg/node/store. */
export const NODE_PREFIX = 'cilium/state/nodes/v1/';

/** A node as it stands in the store. */
export interface NodeEntry extends ClusterNode {
  readonly name: string;
  readonly cluster: string;
  readonly clusterId: number;
}

export const nodeKey = ({ cluster, name }: Pick<NodeEntry, 'cluster' | 'name'>): string =>
  `${NODE_PREFIX}${cluster}/${name}`;

/** Of a node's own agent about itself. */
const NODE_IDENTITY_HOST = 1;

/** The JSON that Cilium's agents write, with the names of Go's fields. Source: pkg/node/types, Node. */
export function formatNodeEntry({ name, cluster, clusterId, labels, addresses, health, ingress }: NodeEntry): string {
  return JSON.stringify({
    Name: name,
    Cluster: cluster,
    IPAddresses: addresses.map(({ type, ip }) => ({ Type: type, IP: ip })),
    IPv4AllocCIDR: null,
    IPv4SecondaryAllocCIDRs: null,
    IPv6AllocCIDR: null,
    IPv6SecondaryAllocCIDRs: null,
    IPv4HealthIP: ofFamily(health, 4),
    IPv6HealthIP: ofFamily(health, 6),
    IPv4IngressIP: ofFamily(ingress, 4),
    IPv6IngressIP: ofFamily(ingress, 6),
    ClusterID: clusterId,
    Source: 'local',
    EncryptionKey: 0,
    Labels: labels,
    Annotations: null,
    NodeIdentity: NODE_IDENTITY_HOST,
    WireguardPubKey: '',
    BootID: '',
  });
}

const ofFamily = (texts: readonly string[], family: 4 | 6): string =>
  texts.find((text) => isIpv6(parseIp(text)!) === (family === 6)) ?? '';

/**
 * Reads what stands under `key` (without {@link NODE_PREFIX}). Blocks that pods' addresses come from are not read:
 * each pod tells its own.
 * @throws AgentError BAD_INPUT
 */
export function parseNodeEntry(key: string, text: string): NodeEntry {
  const bad = (problem: string, cause?: unknown) =>
    new AgentError('BAD_INPUT', `${NODE_PREFIX}${key}: ${problem}`, {}, { cause });
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text));
  } catch (cause) {
    throw bad('no JSON', cause);
  }
  const { Name, Cluster, ClusterID, IPAddresses, Labels } = fields;
  if (`${Cluster}/${Name}` !== key) throw bad(`found ${Cluster}/${Name}, which is not the key`);
  const addresses: NodeAddress[] = (Array.isArray(IPAddresses) ? IPAddresses : []).map(({ Type, IP }) => {
    if (parseIp(`${IP}`) === undefined) throw bad(`IPAddresses: ${JSON.stringify(IP)} is no address`);
    return { type: `${Type}`, ip: `${IP}` };
  });
  const given = (names: readonly string[]): string[] =>
    names.map((name) => `${fields[name] ?? ''}`).filter((one) => parseIp(one) !== undefined);
  return {
    ...{ name: `${Name}`, cluster: `${Cluster}`, clusterId: Number(ClusterID) || 0, addresses },
    labels: Object.fromEntries(Object.entries(Object(Labels)).map(([label, value]) => [label, `${value}`])),
    health: given(['IPv4HealthIP', 'IPv6HealthIP']),
    ingress: given(['IPv4IngressIP', 'IPv6IngressIP']),
  };
}
