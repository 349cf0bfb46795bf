export type { HttpRule, PolicyKind, PolicyRef, Rule, RuleOrigin } from './api/rule.ts';
export { PolicyError } from './errors.ts';
export type { L4DirectionPolicy, L4Filter, L4Policy, L7Parser, PerSelectorPolicy } from './l4.ts';
export { type FlowKey, lookupMapState } from './lookup.ts';
export { PolicyRepository, type SelectingPolicy } from './repository.ts';
export {
  detachPolicy,
  type EndpointPolicy,
  type RedirectFilter,
  type RedirectSelector,
  resolvePolicy,
} from './resolve.ts';
export { type CachedSelector, SelectorCache, type SelectorUpdate, type SelectorUser } from './selectorcache.ts';
export type { MapStateEntry, MapStateValue } from './types/entry.ts';
export { formatKey, type MapStateKey } from './types/key.ts';
