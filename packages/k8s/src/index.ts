export { type DecodeOptions, decodeObjects, positionOf } from './decode.ts';
export { DecodeError, InputError, MAX_PROBLEMS, type Problem } from './errors.ts';
export { isIpv6 } from './formats.ts';
export { HEARTBEAT_ANNOTATION } from './kinds/cilium_identity.ts';
export type { Kind, ObjectOf } from './kinds/kinds.ts';
export { loadObjects } from './load.ts';
export { findWorkload } from './refs.ts';
export { type ObjectRef, ObjectStore, type WatchEvent } from './store.ts';
export type {
  CIDRRule,
  CiliumCIDRGroup,
  CiliumClusterwideNetworkPolicy,
  CiliumEndpoint,
  CiliumIdentity,
  CiliumNetworkPolicy,
  CiliumNode,
  ContainerPort,
  DirectionRule,
  EndpointConditions,
  EndpointPort,
  EndpointSlice,
  FQDNSelector,
  Groups,
  HeaderMatch,
  ICMPField,
  ICMPRule,
  IPBlock,
  IPFamily,
  K8sObject,
  L4Protocol,
  L7Rules,
  LabelSelector,
  LabelSelectorRequirement,
  Listener,
  Namespace,
  NetworkPolicy,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Node,
  NodeAddress,
  ObjectMeta,
  Pod,
  PolicyObject,
  PortProtocol,
  PortRule,
  PortRuleHTTP,
  PortRuleKafka,
  Position,
  Rule,
  SecretRef,
  Service,
  ServicePort,
  ServiceSelector,
  TLSContext,
  TrafficPolicy,
} from './types.ts';
export { didYouMean, nearestWord, oneOf } from './words.ts';
