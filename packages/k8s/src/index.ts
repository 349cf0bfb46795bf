export { decodeObjects } from './decode.ts';
export { DecodeError, InputError, MAX_PROBLEMS, type Problem } from './errors.ts';
export type { Kind, ObjectOf } from './kinds/kinds.ts';
export { loadObjects } from './load.ts';
export { findWorkload } from './refs.ts';
export { type ObjectRef, ObjectStore, type WatchEvent } from './store.ts';
export type {
  CiliumNetworkPolicy,
  ContainerPort,
  IngressRule,
  K8sObject,
  L4Protocol,
  LabelSelector,
  LabelSelectorRequirement,
  Namespace,
  NetworkPolicy,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  ObjectMeta,
  Pod,
  PortProtocol,
  PortRule,
  PortRuleHTTP,
  Position,
  Rule,
  Service,
  ServicePort,
} from './types.ts';
