import { EndpointSelector, POLICY_LABEL_CLUSTER } from '@ciliate/labels';

const reserved = (key: string): EndpointSelector => EndpointSelector.ofLabels({ source: 'reserved', key, value: '' });

/** Selects the node that an endpoint runs on. */
export const HOST_SELECTOR = reserved('host');

const CLUSTER_MEMBERS = [
  HOST_SELECTOR,
  ...['remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].map(reserved),
];

/** Entities of fixed meaning: each is the union of its selectors. Source: pkg/policy/api/entity.go. */
const FIXED: ReadonlyMap<string, readonly EndpointSelector[]> = new Map([
  ['all', [EndpointSelector.wildcard]],
  ['world', [reserved('world'), reserved('world-ipv4'), reserved('world-ipv6')]],
  ['host', [HOST_SELECTOR]],
  ...[
    'world-ipv4',
    'world-ipv6',
    'remote-node',
    'init',
    'ingress',
    'health',
    'unmanaged',
    'kube-apiserver',
    'none',
  ].map((name): [string, EndpointSelector[]] => [name, [reserved(name)]]),
]);

/** Every name that `fromEntities` may hold. */
export const ENTITY_NAMES: readonly string[] = [...FIXED.keys(), 'cluster'];

/**
 * The selectors of an entity.
 * @param clusterName name of the local cluster, of which `cluster` is made
 */
export function entitySelectors(entity: string, clusterName: string): readonly EndpointSelector[] {
  if (entity !== 'cluster') return FIXED.get(entity) ?? [];
  const members = EndpointSelector.ofLabels({ source: 'k8s', key: POLICY_LABEL_CLUSTER, value: clusterName });
  return [...CLUSTER_MEMBERS, members];
}
