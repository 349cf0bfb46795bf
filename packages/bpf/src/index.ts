export { cilFromContainer, cilLxcPolicy, cilToContainer } from './bpf_lxc.ts';
export { Datapath, type DatapathOptions, type EndpointProgram } from './datapath.ts';
export type { Step } from './explain.ts';
export {
  CTX_ACT_DROP,
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  identityMark,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_PROXY_INGRESS,
  MARK_MAGIC_TO_PROXY,
  ntohs,
} from './lib/common.ts';
export { DROP_POLICY, DROP_POLICY_DENY, dropReason } from './lib/drop_reasons.ts';
export type { MonitorAggregation } from './lib/notify.ts';
export { PolicyVerdict, policyCanAccess } from './lib/policy.ts';
export { Skb } from './skb.ts';
