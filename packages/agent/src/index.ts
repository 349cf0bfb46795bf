export { Agent, type AgentOptions, CT_SHARDS } from './agent.ts';
export { CrdAllocator, type CrdAllocatorOptions } from './crd/crd_allocator.ts';
export { type CrdGcRound, CrdIdentityGc, type CrdIdentityGcOptions } from './crd/identity_gc.ts';
export type { Cidr, DatapathFlags } from './datapath_config.ts';
export { AgentDns } from './dns.ts';
export { addressBeside, type Endpoint, HOST_NAME, podName } from './endpoint.ts';
export { AgentError, type AgentErrorCode, NotEmulatedError } from './errors.ts';
export {
  ownLabels,
  type PolicyReason,
  whyAllowed,
  whyDropped,
  whyRequestDenied,
  whyRequestPassed,
} from './explain.ts';
export { networkPolicyOf } from './npds.ts';
export type { PolicyReceiver } from './proxy_policy.ts';
export { PROXY_PORT_DNS, PROXY_PORT_HTTP, PROXY_PORT_KAFKA, PROXY_PORT_TLS } from './proxy_ports.ts';
export { backingSlices } from './services.ts';
export { ClusterPolicy, type PolicyPod } from './what_if/cluster_policy.ts';
export { diffReach, type ReachChange, type ReachDiff } from './what_if/diff.ts';
export { addressEnd, entityEnd, explainPath, type FlowEnd, type FlowStep, isEntity, podEnd } from './what_if/flow.ts';
export { type MatrixCell, type MatrixFlow, type PartyFilter, reachMatrix } from './what_if/matrix.ts';
export { ENTITIES, type Party, partiesOf } from './what_if/parties.ts';
export type { PodChanges } from './what_if/pod_changes.ts';
export type { ChangeReason } from './what_if/reasons.ts';
