import { type Label, Labels } from '@ciliate/labels';
import { formatAddress, type Prefix, parsePrefix } from './prefix.ts';

/**
 * `cidr:10.0.0.0/8`, the label of a prefix that a policy names. A key has no colons: `2001:db8::/32` is
 * `cidr:2001-db8--0/32`, with a 0 where `-` would be the first or the last character of the address.
 * Source: pkg/labels/cidr.go.
 */
export const cidrLabel = (prefix: Prefix): Label =>
  cidrLabelOf(formatAddress(prefix.family, prefix.address), prefix.length);

/**
 * The label that a selector asks for on behalf of a text: a prefix is masked, a bare address stays as it is written.
 * @throws IdentityError INVALID
 */
export function cidrLabelOfText(text: string): Label {
  const prefix = parsePrefix(text);
  return text.includes('/') ? cidrLabel(prefix) : cidrLabelOf(text, prefix.length);
}

function cidrLabelOf(address: string, length: number): Label {
  const key = address.replace(/^:/, '0-').replace(/:$/, '-0').replaceAll(':', '-');
  return { source: 'cidr', key: `${key}/${length}`, value: '' };
}

/** What a policy says about a prefix it names. All of the world needs no label: to be outside the cluster says it. */
export const labelsOfPolicyPrefix = (prefix: Prefix): Labels =>
  prefix.length === 0 ? Labels.none : Labels.of([cidrLabel(prefix)]);

/** What a CiliumCIDRGroup says about a prefix in it. Source: pkg/policy/k8s/cilium_cidr_group.go. */
export const labelsOfCidrGroup = (name: string, labels: Readonly<Record<string, string>>): Labels =>
  Labels.of([
    ...Object.entries(labels).map(([key, value]) => ({ source: 'cidrgroup', key, value })),
    { source: 'cidrgroup', key: `io.cilium.policy.cidrgroupname/${name}`, value: '' },
  ]);

/** Outside the cluster. With both families in use the two worlds are told apart. */
export function worldLabel(family: 4 | 6, dualStack: boolean): Label {
  const key = dualStack ? `world-ipv${family}` : 'world';
  return { source: 'reserved', key, value: '' };
}

const WORLD: ReadonlySet<string> = new Set(['world', 'world-ipv4', 'world-ipv6']);
const IN_CLUSTER = ['remote-node', 'host', 'health', 'ingress'];
const OUTSIDE_SOURCES: ReadonlySet<string> = new Set(['cidr', 'fqdn', 'cidrgroup']);

/**
 * The labels that an identity gets for a prefix: what is in the cluster is not of the world and no CIDR or DNS name; all
 * else is of the world. Labels of nodes (source `node`) are off. Source: pkg/ipcache/metadata.go, resolveLabels.
 */
export function withWorld(labels: Labels, prefix: Prefix, dualStack: boolean): Labels {
  const kept = [...labels].filter(({ source }) => source !== 'node');
  const isInCluster = IN_CLUSTER.some((key) => labels.has('reserved', key));
  if (!isInCluster) return Labels.of([...kept, worldLabel(prefix.family, dualStack)]);
  return Labels.of(
    kept.filter(({ source, key }) => !OUTSIDE_SOURCES.has(source) && !(source === 'reserved' && WORLD.has(key))),
  );
}
