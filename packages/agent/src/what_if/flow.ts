import { formatPrefix, identityName, parsePrefix, ReservedIdentities } from '@ciliate/identity';
import { explainFlow, type FlowExplanation, type FlowKey } from '@ciliate/policy';
import type { ClusterPolicy, PolicyPod } from './cluster_policy.ts';

/** One end of a flow. */
export interface FlowEnd {
  /** `namespace/name`, the name of an entity, or an address. */
  readonly name: string;
  readonly identity: number;
  /** undefined: nobody's policy here is asked. */
  readonly pod: PolicyPod | undefined;
  readonly address: string | undefined;
}

/** What one end's policy says. */
export interface FlowStep {
  /** `namespace/name`. */
  readonly at: string;
  readonly explanation: FlowExplanation;
}

const RESERVED = new ReservedIdentities().entries;

/** An entity as an end: whoever has its identity. @returns undefined if there is no such entity */
export function entityEnd(name: string): FlowEnd | undefined {
  const found = RESERVED.find(([identity]) => identityName(identity) === name);
  return found && { name, identity: found[0], pod: undefined, address: undefined };
}

/** An address that no pod has. */
export function addressEnd(cluster: ClusterPolicy, address: string): FlowEnd {
  const prefix = parsePrefix(address);
  const identity = cluster.identityOf(prefix);
  return { name: formatPrefix(prefix).replace(/\/\d+$/, ''), identity, pod: undefined, address };
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
  const step = ({ pod, name }: FlowEnd, peer: FlowEnd, egress: boolean): FlowStep[] => {
    if (pod === undefined) return [];
    const flow = { ...asked, egress, identity: peer.identity };
    return [{ at: name, explanation: explainFlow(repository, pod, pod.policy, flow, peer.address) }];
  };
  return [...step(from, to, true), ...step(to, from, false)];
}
