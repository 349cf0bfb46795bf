export { KAFKA_API_KEYS } from './api/kafka.ts';
export type {
  AuthenticationMode,
  DirectionRules,
  L7Rules,
  PeerRule,
  PolicyKind,
  PolicyRef,
  PortProtocol,
  PortRule,
  PortRuleHTTP,
  PortRuleKafka,
  Rule,
  RuleOrigin,
} from './api/rule.ts';
export { DEFAULT_POLICY_CONFIG, type PolicyConfig } from './config.ts';
export { PolicyConflictError } from './conflict.ts';
export type { PolicyOwner } from './distill.ts';
export type { EndpointPolicy } from './endpoint_policy.ts';
export { NotModelledError, PolicyError } from './errors.ts';
export type { Claim } from './explain/claims.ts';
export { explainFlow, type FlowExplanation, type Remedy } from './explain/explain.ts';
export type { Miss, NearMiss } from './explain/near_misses.ts';
export type { LossReason, LostClaim } from './explain/precedence.ts';
export type { Suggestion } from './explain/suggest.ts';
export { formatOrigin, portsText, protocolName, qualified, selectorText } from './explain/words.ts';
export { parsePolicy, type ServiceView, type TranslateContext } from './k8s/parse.ts';
export type { FilterPeer, L4DirectionPolicy, L4Filter, L4Policy } from './l4.ts';
export type { L7Parser } from './l7.ts';
export { type FlowKey, lookupMapState } from './lookup.ts';
export type { MapStateChanges } from './map_changes.ts';
export type { MapStateView } from './mapstate.ts';
export { type NamedPort, NamedPorts } from './named_ports.ts';
export type { PerSelectorPolicy } from './per_selector_policy.ts';
export { type PortPrefix, portRangeToPrefixes } from './portrange.ts';
export { type FilterProtocol, PROTOCOL_NUMBERS } from './protocols.ts';
export { compareReach, type VerdictChange } from './reach/compare.ts';
export { coverageText } from './reach/coverage.ts';
export { type PathVerdict, pathVerdictText, Reachability, type ReachNode } from './reach/reachability.ts';
export type { SideVerdict } from './reach/side.ts';
export { REACH_PROTOCOLS, type Span } from './reach/spans.ts';
export { type RedirectFilter, type RedirectSelector, redirectOf } from './redirects.ts';
export { PolicyRepository, resolveSelectorPolicy, type SelectingPolicy } from './repository.ts';
export type { Subject } from './rule_store.ts';
export type { SelectorPolicy } from './selector_policy.ts';
export { type CachedSelector, SelectorCache, type SelectorUpdate } from './selectorcache.ts';
export { type HeldEntry, type MapWrite, orderWrites } from './transition.ts';
export type { AuthType, EntryParser, MapStateEntry } from './types/entry.ts';
export { formatKey, type MapStateKey, type PortKey, prefixLength } from './types/key.ts';
