import {
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  PrefixIdentities,
  parsePrefix,
  ReservedIdentities,
} from '@ciliate/identity';
import type { ObjectStore } from '@ciliate/k8s';
import {
  type FlowKey,
  lookupMapState,
  NamedPorts,
  PolicyRepository,
  resolveSelectorPolicy,
  SelectorCache,
} from '@ciliate/policy';
import { addressesOf, labelsOf, namedPortsOf, podName } from '../src/endpoint.ts';
import { serviceViewsOf } from '../src/services.ts';

/** A packet at a pod's interface: the other side is an address, not yet an identity. */
export interface AddressFlow extends Omit<FlowKey, 'identity'> {
  /** `namespace/name` of the pod whose policy is asked. */
  readonly pod: string;
  readonly peer: number;
}

/** How far a packet gets: 0 not at all, 1 to the proxy, 2 past it. */
export type Reach = 0 | 1 | 2;

const CLUSTER = 'default';
const WORLD = 2;
const HOST = 1;

/** What the objects of a store say about packets, with no history: every identity and every policy computed now. */
export function fromScratch(store: ObjectStore, node: number): (flow: AddressFlow) => Reach {
  const repository = new PolicyRepository({ clusterName: CLUSTER });
  repository.setServices(serviceViewsOf(store));
  for (const kind of ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy'] as const)
    for (const policy of store.list(kind)) repository.upsert(policy);

  const prefixes = new PrefixIdentities({ dualStack: false });
  for (const text of repository.prefixes()) {
    const prefix = parsePrefix(text);
    prefixes.upsert(prefix, 'policies', { source: 'custom-resource', labels: labelsOfPolicyPrefix(prefix) });
  }
  for (const { metadata, spec } of store.list('CiliumCIDRGroup')) {
    const labels = labelsOfCidrGroup(metadata.name, metadata.labels);
    for (const text of spec.externalCIDRs)
      prefixes.upsert(parsePrefix(text), metadata.name, { source: 'generated', labels });
  }
  prefixes.apply();

  const pods = store.list('Pod').map((pod) => {
    const namespace = store.get({ kind: 'Namespace', namespace: '', name: pod.metadata.namespace });
    return { pod, labels: labelsOf(pod, namespace, CLUSTER) };
  });
  const texts = [...new Set(pods.map(({ labels }) => labels.sortedList()))];
  const subjects = pods.map(({ pod, labels }) => ({
    pod,
    labels,
    identity: 1000 + texts.indexOf(labels.sortedList()),
  }));
  const selectors = new SelectorCache([
    ...new ReservedIdentities(CLUSTER).entries,
    ...subjects.map(({ identity, labels }) => [identity, labels] as const),
    ...prefixes.entries().map(({ identity, labels }) => [identity, labels] as const),
  ]);
  const allNamedPorts = NamedPorts.of(pods.map(({ pod }) => namedPortsOf(pod)));
  const states = new Map(
    subjects.map(({ pod, ...subject }) => {
      const owner = { namedPorts: namedPortsOf(pod), allNamedPorts };
      return [podName(pod.metadata), resolveSelectorPolicy(repository, subject, selectors).distill(owner).mapState];
    }),
  );
  const identityOf = (peer: number): number =>
    subjects.find(({ pod }) => addressesOf(pod).includes(peer))?.identity ??
    (peer === node ? HOST : (prefixes.lookup(4, BigInt(peer))?.identity ?? WORLD));
  return ({ pod, peer, ...flow }) => {
    const entry = lookupMapState(states.get(pod)!, { ...flow, identity: identityOf(peer) });
    return entry === undefined || entry.deny ? 0 : entry.redirect ? 1 : 2;
  };
}
