export { type Allocation, type Allocator, IdentityAllocator, type IdentityAllocatorOptions } from './allocator.ts';
export { IdentityError, type IdentityErrorCode } from './errors.ts';
export { DnsCache, type DnsCacheLimits, type NameAddress } from './fqdn/dns_cache.ts';
export { type DnsZombieLimits, DnsZombies } from './fqdn/dns_zombies.ts';
export {
  absoluteName,
  absolutePattern,
  anchoredExpression,
  compilePattern,
  isPattern,
  unanchoredExpression,
} from './fqdn/match_pattern.ts';
export { FQDN_CONFIG, type FqdnConfig, NameManager } from './fqdn/name_manager.ts';
export {
  compileDnsRules,
  compileSelector,
  dnsRulesExpression,
  fqdnLabel,
  type NameSelector,
  selectorExpression,
} from './fqdn/name_selector.ts';
export { type GcRound, IdentityGc } from './garbage.ts';
export { IdPool } from './id_pool.ts';
export { IdentityCache, type IdentityObserver } from './identity_cache.ts';
export {
  formatIpIdentityPair,
  IP_PREFIX,
  type IpIdentityPair,
  ipKey,
  parseIpIdentityPair,
} from './ip_identity_pair.ts';
export { Ipcache, type IpcacheEntry, type IpcacheListener } from './ipcache.ts';
export { readIdentities } from './master_keys.ts';
export {
  IDENTITY_HEALTH,
  IDENTITY_HOST,
  IDENTITY_INGRESS,
  IDENTITY_INIT,
  IDENTITY_KUBE_APISERVER,
  IDENTITY_REMOTE_NODE,
  IDENTITY_UNKNOWN,
  IDENTITY_UNMANAGED,
  IDENTITY_WORLD,
  IDENTITY_WORLD_IPV4,
  IDENTITY_WORLD_IPV6,
  type IdentityRange,
  identityName,
  identityRange,
  identityScope,
  isReservedIdentity,
  MINIMAL_ALLOCATED_IDENTITY,
  type NumericIdentity,
  reservedIdentityByName,
  SCOPE_GLOBAL,
  SCOPE_LOCAL,
  SCOPE_REMOTE_NODE,
} from './numeric.ts';
export {
  addressOf,
  comparePrefixes,
  formatPrefix,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
} from './prefixes/prefix.ts';
export { type PrefixChanges, type PrefixEntry, PrefixIdentities } from './prefixes/prefix_identities.ts';
export {
  cidrLabel,
  cidrLabelOfText,
  labelsOfCidrGroup,
  labelsOfPolicyPrefix,
  worldLabel,
} from './prefixes/prefix_labels.ts';
export type { PrefixInfo } from './prefixes/prefix_metadata.ts';
export { type IdentityEntry, ReservedIdentities, scopeForLabels } from './reserved.ts';
export { allowOverwrite, type Source } from './source.ts';
