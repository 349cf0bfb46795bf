import { EndpointSelector, POLICY_LABEL_CLUSTER } from '@ciliate/labels';

/** Selects what carries the label `reserved:<name>`. */
export const reservedSelector = (name: string): EndpointSelector =>
  EndpointSelector.ofLabels({ source: 'reserved', key: name, value: '' });

const CLUSTER_MEMBERS = ['host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].map(
  reservedSelector,
);

/** Entities of fixed meaning: each is the union of its selectors. Source: pkg/policy/api/entity.go. */
const FIXED: ReadonlyMap<string, readonly EndpointSelector[]> = new Map([
  ['all', [EndpointSelector.wildcard]],
  ['world', ['world', 'world-ipv4', 'world-ipv6'].map(reservedSelector)],
  ...[
    'world-ipv4',
    'world-ipv6',
    'host',
    'remote-node',
    'init',
    'ingress',
    'health',
    'unmanaged',
    'kube-apiserver',
    'none',
  ].map((name): [string, EndpointSelector[]] => [name, [reservedSelector(name)]]),
]);

/** Every name that `fromEntities` and `toEntities` may hold. */
export const ENTITY_NAMES: readonly string[] = [...FIXED.keys(), 'cluster'].sort();

/**
 * The selectors of an entity; none if there is no such entity.
 * @param clusterName name of the local cluster, of which `cluster` is made
 */
export function entitySelectors(entity: string, clusterName: string): readonly EndpointSelector[] {
  if (entity !== 'cluster') return FIXED.get(entity) ?? [];
  const members = EndpointSelector.ofLabels({ source: 'k8s', key: POLICY_LABEL_CLUSTER, value: clusterName });
  return [...CLUSTER_MEMBERS, members];
}
