export {
  type Address,
  containsAddress,
  formatAddress,
  formatPrefix,
  masked,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '@ciliate/packet';
export { type CidrPrefix, cidrContains, parseCidrKey } from './cidr.ts';
export {
  POD_NAMESPACE_LABEL,
  POD_NAMESPACE_META_LABELS,
  POLICY_LABEL_CLUSTER,
  POLICY_LABEL_SERVICE_ACCOUNT,
} from './constants.ts';
export { filterIdentityLabels } from './filter.ts';
export { ciliumKey, compareBytes, formatLabel, type Label, parseLabel } from './label.ts';
export { Labels } from './labels.ts';
export { identityLabelsOf, type PodIdentitySource } from './pod_labels.ts';
export { EndpointSelector, type SelectorExpression, type SelectorSource } from './selector.ts';
