import { formatPrefix, IDENTITY_HOST, identityName, parsePrefix, ReservedIdentities } from '@ciliate/identity';
import { explainFlow, type FlowExplanation, type FlowKey } from '@ciliate/policy';
import type { ClusterPolicy, PolicyPod } from './cluster_policy.ts';

/** One end of a flow. */
export interface FlowEnd {
  /** `namespace/name`, the name of an entity, or an address. */
  readonly name: string;
  readonly identity: number;
  /** Or the node itself; undefined: nobody's policy here is asked. */
  readonly pod: PolicyPod | undefined;
  readonly address: string | undefined;
}

/** What one end's policy says. */
export interface FlowStep {
  /** `namespace/name`, or `reserved:host`. */
  readonly at: string;
  readonly explanation: FlowExplanation;
}

const RESERVED = new ReservedIdentities().entries;

/** Is it the name of an entity: whoever has its identity? */
export const isEntity = (name: string): boolean => reservedOf(name) !== undefined;

/** An entity as an end. @param name also as a label, `reserved:host`. @returns undefined if there is no such entity */
export function entityEnd(cluster: ClusterPolicy, name: string): FlowEnd | undefined {
  const identity = reservedOf(name);
  if (identity === undefined) return undefined;
  return { name, identity, pod: withPolicy(cluster, identity), address: undefined };
}

function reservedOf(name: string): number | undefined {
  const word = name.replace(/^reserved:/, '');
  return RESERVED.find(([identity]) => identityName(identity) === word)?.[0];
}

const withPolicy = ({ host }: ClusterPolicy, identity: number): PolicyPod | undefined =>
  identity === IDENTITY_HOST ? host : undefined;

/** An address that no pod has. */
export function addressEnd(cluster: ClusterPolicy, address: string): FlowEnd {
  const prefix = parsePrefix(address);
  const identity = cluster.identityOf(prefix);
  const name = formatPrefix(prefix).replace(/\/\d+$/, '');
  return { name, identity, pod: withPolicy(cluster, identity), address };
}

/** A pod of the cluster. @param name `namespace/name` */
export function podEnd(cluster: ClusterPolicy, name: string, address: string): FlowEnd | undefined {
  const pod = cluster.pods.find((one) => one.name === name);
  return pod && { name, identity: pod.identity, pod, address };
}

/**
 * What the policies at both ends say about a flow, the sender's first, from policy objects alone: no packet is made, and no
 * proxy asked.
 */
export function explainPath(
  { repository }: ClusterPolicy,
  from: FlowEnd,
  to: FlowEnd,
  asked: Pick<FlowKey, 'protocol' | 'dport'>,
): FlowStep[] {
  const step = ({ pod }: FlowEnd, peer: FlowEnd, egress: boolean): FlowStep[] => {
    if (pod === undefined) return [];
    const flow = { ...asked, egress, identity: peer.identity };
    return [{ at: pod.name, explanation: explainFlow(repository, pod, pod.policy, flow, peer.address) }];
  };
  return [...step(from, to, true), ...step(to, from, false)];
}
