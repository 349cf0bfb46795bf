import { isDeepStrictEqual } from 'node:util';
import type { ObjectStore, Pod } from '@ciliate/k8s';
import type { Labels } from '@ciliate/labels';
import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Changes } from './changes.ts';
import { addressesOf, type Endpoint, labelsOf, namedPortsOf, podName } from './endpoint.ts';
import type { EndpointTable } from './endpoint_table.ts';
import { AgentError } from './errors.ts';
import type { Families } from './families.ts';
import type { PodElsewhere } from './pods_elsewhere.ts';
import type { Problems } from './regeneration.ts';

/** What changes of pods and namespaces mean for endpoints. */
export interface PodChanges {
  /** In the order of namespace and name, which is that of the ids they get. */
  readonly added: readonly { readonly pod: Pod; readonly labels: Labels }[];
  readonly relabelled: readonly { readonly endpoint: Endpoint; readonly labels: Labels }[];
  /** The names of container ports changed. */
  readonly reported: readonly { readonly endpoint: Endpoint; readonly pod: Pod }[];
  readonly gone: readonly Endpoint[];
  /** Of other nodes, by `namespace/name`; undefined: no longer there. */
  readonly elsewhere: ReadonlyMap<string, PodElsewhere | undefined>;
  /** Pods that cannot have an endpoint as things are. */
  readonly refused: readonly string[];
}

/**
 * @param cluster name of the local cluster
 * @param hostOf the node that a pod is on, by its address; undefined: this one. It may throw
 */
export function podChanges(
  changes: Changes,
  store: ObjectStore,
  endpoints: EndpointTable,
  cluster: string,
  families: Families,
  hostOf: (pod: Pod) => IpAddress | undefined,
  problems: Problems,
): PodChanges {
  const names = new Set(changes.pods);
  if (changes.namespaces.size > 0)
    for (const endpoint of endpoints.list) if (changes.namespaces.has(endpoint.namespace)) names.add(podName(endpoint));
  const elsewhere = new Map<string, PodElsewhere | undefined>();
  const refused: string[] = [];
  const looks = [...names].sort().map((name) => {
    const look = { name, pod: podOf(store, name), endpoint: endpoints.ofName(name) };
    elsewhere.set(name, undefined);
    if (look.pod === undefined) return look;
    try {
      const hostIp = hostOf(look.pod);
      if (hostIp === undefined) return look;
      elsewhere.set(name, { pod: look.pod, labels: labelsIn(store, look.pod, cluster), hostIp });
    } catch (error) {
      refused.push(name);
      problems.push(error);
    }
    return { ...look, pod: undefined };
  });
  const gone = looks.flatMap(({ pod, endpoint }) =>
    endpoint !== undefined && (pod === undefined || !isDeepStrictEqual(addressesOf(pod), endpoint.addresses))
      ? [endpoint]
      : [],
  );
  const added: PodChanges['added'][number][] = [];
  const relabelled: PodChanges['relabelled'][number][] = [];
  const reported: PodChanges['reported'][number][] = [];
  const taken = new Map<IpAddress, string>();
  for (const { name, pod, endpoint } of looks) {
    if (pod === undefined) continue;
    const labels = labelsIn(store, pod, cluster);
    if (endpoint !== undefined && !gone.includes(endpoint)) {
      if (!endpoint.labels.equals(labels)) relabelled.push({ endpoint, labels });
      if (!isDeepStrictEqual(endpoint.namedPorts, namedPortsOf(pod))) reported.push({ endpoint, pod });
      continue;
    }
    const addresses = addressesOf(pod);
    const ownerOf = (address: IpAddress): string | undefined => {
      const owner = endpoints.ofAddress(address);
      return owner !== undefined && !gone.includes(owner) ? podName(owner) : taken.get(address);
    };
    const problem = addresses.map((address) => problemOf(name, address, ownerOf(address), families)).find(Boolean);
    if (problem === undefined) {
      for (const address of addresses) taken.set(address, name);
      added.push({ pod, labels });
    } else {
      refused.push(name);
      problems.push(AgentError.ofField(pod, 'status.podIP', problem));
    }
  }
  return { added, relabelled, reported, gone, elsewhere, refused };
}

/** Why a pod cannot have this address. */
function problemOf(name: string, address: IpAddress, owner: string | undefined, { ipv4, ipv6 }: Families) {
  const text = formatIp(address);
  if (owner !== undefined) return `${name} and ${owner} both have the address ${text}`;
  if (isIpv6(address) ? ipv6 : ipv4) return undefined;
  return `${name} has the address ${text}, but the agent was started without IPv${isIpv6(address) ? 6 : 4}`;
}

/** The labels that decide a pod's identity. */
export const labelsIn = (store: ObjectStore, pod: Pod, cluster: string): Labels =>
  labelsOf(pod, store.get({ kind: 'Namespace', namespace: '', name: pod.metadata.namespace }), cluster);

function podOf(store: ObjectStore, name: string): Pod | undefined {
  const [namespace = '', pod = ''] = name.split('/');
  return store.get({ kind: 'Pod', namespace, name: pod });
}
