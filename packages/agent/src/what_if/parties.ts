import {
  comparePrefixes,
  formatPrefix,
  IDENTITY_HOST,
  IDENTITY_INGRESS,
  IDENTITY_WORLD_IPV4,
  IDENTITY_WORLD_IPV6,
  identityName,
  type Prefix,
  ReservedIdentities,
} from '@ciliate/identity';
import type { Labels } from '@ciliate/labels';
import type { ReachNode } from '@ciliate/policy';
import { isDualStack } from '../families.ts';
import type { ClusterPolicy, PolicyPod } from './cluster_policy.ts';

export interface PartyNode extends ReachNode {
  /** Of a pod, and with the host firewall of the node, whom policies select; undefined for others. */
  readonly labels: Labels | undefined;
}

/** Those who send and receive alike, in each of some clusters. */
export interface Party {
  /** `namespace/name` of pods, names of entities, prefixes; at least one. */
  readonly names: readonly string[];
  /** Labels in the last of the clusters; none for what has no identity of its own there. */
  readonly labels: readonly string[];
  /** For each cluster. */
  readonly nodes: readonly PartyNode[];
}

/** Not the worlds by family: with one family alone there is one world. */
const RESERVED = new ReservedIdentities().entries.filter(([identity]) => identity <= IDENTITY_INGRESS);
const WORLDS = new ReservedIdentities().entries.filter(
  ([identity]) => identity === IDENTITY_WORLD_IPV4 || identity === IDENTITY_WORLD_IPV6,
);

/** The names that always take part, in the order of their numbers. */
export const ENTITIES: readonly string[] = RESERVED.map(([identity]) => identityName(identity));

/**
 * Everybody who is in all of the clusters: pods by name, the reserved identities, and the prefixes that any of them knows,
 * each without the longer ones in it. Who is the same in each cluster is one party.
 */
export function partiesOf(clusters: readonly ClusterPolicy[]): Party[] {
  const found = new Map<string, { names: string[]; labels: readonly string[]; nodes: readonly PartyNode[] }>();
  const policies = new Map<ReachNode['policy'], number>();
  const numberOf = (policy: ReachNode['policy']): number => {
    const number = policies.get(policy) ?? policies.size;
    policies.set(policy, number);
    return number;
  };
  const add = (name: string, labels: readonly string[], nodes: readonly PartyNode[]): void => {
    const key = JSON.stringify(nodes.map(({ identity, policy }) => [identity, numberOf(policy)]));
    const party = found.get(key);
    if (party === undefined) found.set(key, { names: [name], labels, nodes });
    else party.names.push(name);
  };
  const isDual = clusters.some(({ families }) => isDualStack(families));
  for (const [identity, labels] of isDual ? [...RESERVED, ...WORLDS] : RESERVED)
    add(
      identityName(identity),
      labels.toStrings(),
      clusters.map(({ host }) => (identity === IDENTITY_HOST ? host : undefined) ?? withoutPolicy(identity)),
    );
  for (const prefix of prefixesIn(clusters)) {
    const nodes = clusters.map((cluster) => withoutPolicy(cluster.identityOf(prefix)));
    add(formatPrefix(prefix), [], nodes);
  }
  for (const pods of podsInAll(clusters)) add(pods[0]!.name, pods.at(-1)!.labels.toStrings(), pods);
  return [...found.values()];
}

const withoutPolicy = (identity: number): PartyNode => ({ identity, policy: undefined, labels: undefined });

function prefixesIn(clusters: readonly ClusterPolicy[]): Prefix[] {
  const all = clusters.flatMap(({ prefixes }) => prefixes).filter(({ length }) => length > 0);
  return [...new Map(all.map((prefix) => [formatPrefix(prefix), prefix])).values()].sort(comparePrefixes);
}

/** The pods of the last cluster that all have, each as it is in each. */
function podsInAll(clusters: readonly ClusterPolicy[]): PolicyPod[][] {
  const byName = clusters.map(({ pods }) => new Map(pods.map((pod) => [pod.name, pod])));
  return clusters.at(-1)!.pods.flatMap(({ name }) => {
    const pods = byName.map((all) => all.get(name)).filter((pod) => pod !== undefined);
    return pods.length === clusters.length ? [pods] : [];
  });
}
