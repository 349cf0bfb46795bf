import { dnsSubdomain } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked, located, mapped } from '../schema/derived.ts';
import { ignored, object, optional, refused, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { integerOrString, word } from '../schema/values.ts';
import type { NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort } from '../types.ts';
import { quoted } from '../words.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { MAX_PORT, protocol } from './pod.ts';
import { labelSelector } from './selector.ts';

const EGRESS = 'egress rules are';

const portNumber = mapped(
  checked(integerOrString(1, MAX_PORT), (value, fail) => {
    if (typeof value === 'string') fail(`named ports (${quoted(value)}) are not modelled yet`);
  }),
  Number,
);

const port: Schema<NetworkPolicyPort> = located(
  object({ port: optional(portNumber), protocol, endPort: refused('port ranges are') }),
);

const peer = located(
  object({
    podSelector: optional(labelSelector),
    namespaceSelector: optional(labelSelector),
    ipBlock: refused('address blocks are'),
  }),
);

const ingressRule: Schema<NetworkPolicyIngressRule> = located(
  object({ from: optional(list(peer)), ports: optional(list(port)) }),
);

const spec: Schema<NetworkPolicy['spec']> = mapped(
  object({
    // As the API server reads it, absent is empty and so selects every pod.
    podSelector: withDefault(labelSelector, () => ({ matchLabels: {}, matchExpressions: [] })),
    ingress: optional(list(ingressRule)),
    policyTypes: optional(list(word(['Ingress'], { Egress: EGRESS }))),
    egress: refused(EGRESS),
  }),
  ({ podSelector, ingress }) => ({ podSelector, ingress }),
);

/** networking.k8s.io/v1 NetworkPolicy, ingress only. */
export const networkPolicy: Schema<Pick<NetworkPolicy, 'metadata' | 'spec'>> = object({
  ...TYPE_FIELDS,
  metadata: required(namespacedMeta(dnsSubdomain)),
  spec: required(spec),
  status: ignored,
});
