import { dnsSubdomain } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked, mapped } from '../schema/derived.ts';
import { ignored, object, optional, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { boolean, string } from '../schema/values.ts';
import type { CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, ObjectMeta, Rule } from '../types.ts';
import { directionRule } from './direction_rule.ts';
import { clusterMeta, emptyText, namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { ruleLabel } from './rule_label.ts';
import { labelSelector } from './selector.ts';

// The shapes of pkg/policy/api, read as Go reads JSON: types are checked here, meanings in the policy room.

const defaultDeny = object({ ingress: optional(boolean), egress: optional(boolean) });

const rule: Schema<Rule> = object({
  endpointSelector: optional(labelSelector),
  nodeSelector: optional(labelSelector),
  ingress: optional(list(directionRule('ingress'))),
  ingressDeny: optional(list(directionRule('ingressDeny'))),
  egress: optional(list(directionRule('egress'))),
  egressDeny: optional(list(directionRule('egressDeny'))),
  enableDefaultDeny: withDefault(defaultDeny, () => ({ ingress: undefined, egress: undefined })),
  labels: optional(list(ruleLabel)),
  description: emptyText,
  log: optional(object({ value: emptyText })),
});

const policyOf = (metadata: Schema<ObjectMeta>) =>
  mapped(
    checked(
      object({
        ...TYPE_FIELDS,
        metadata: required(metadata),
        spec: optional(rule),
        specs: optional(list(rule)),
        status: ignored,
      }),
      ({ spec, specs = [] }, fail) => {
        if (spec === undefined && specs.length === 0) fail('missing required field "spec" (or "specs")');
      },
    ),
    ({ metadata, spec, specs }) => ({ metadata, spec, specs }),
  );

/** cilium.io/v2 CiliumNetworkPolicy. */
export const ciliumNetworkPolicy: Schema<Pick<CiliumNetworkPolicy, 'metadata' | 'spec' | 'specs'>> = policyOf(
  namespacedMeta(dnsSubdomain),
);

/** cilium.io/v2 CiliumClusterwideNetworkPolicy. */
export const ciliumClusterwideNetworkPolicy: Schema<
  Pick<CiliumClusterwideNetworkPolicy, 'metadata' | 'spec' | 'specs'>
> = policyOf(clusterMeta(dnsSubdomain));

/** cilium.io/v2 CiliumCIDRGroup. */
export const ciliumCidrGroup = object({
  ...TYPE_FIELDS,
  metadata: required(clusterMeta(dnsSubdomain)),
  spec: required(object({ externalCIDRs: withDefault(list(string), () => []) })),
  status: ignored,
});
