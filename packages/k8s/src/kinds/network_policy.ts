import { dnsSubdomain } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked } from '../schema/derived.ts';
import { ignored, object, optional, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { int32, integerOrString, MAX_INT32, string, wordText } from '../schema/values.ts';
import type {
  IPBlock,
  NetworkPolicy,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '../types.ts';
import { emptyText, namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { MAX_PORT } from './pod.ts';
import { labelSelector } from './selector.ts';

const portNumber = checked(integerOrString(-MAX_INT32 - 1, MAX_INT32), (value, fail) => {
  if (typeof value === 'number' && (value < 1 || value > MAX_PORT))
    fail(`want a number from 1 to ${MAX_PORT}, found the number ${value}`);
});

const port: Schema<NetworkPolicyPort> = object({
  protocol: optional(wordText(['TCP', 'UDP', 'SCTP'])),
  port: optional(portNumber),
  endPort: optional(int32),
});

const ipBlock: Schema<IPBlock> = object({ cidr: emptyText, except: optional(list(string)) });

const peer: Schema<NetworkPolicyPeer> = object({
  podSelector: optional(labelSelector),
  namespaceSelector: optional(labelSelector),
  ipBlock: optional(ipBlock),
});

const ingressRule: Schema<NetworkPolicyIngressRule> = object({
  from: optional(list(peer)),
  ports: optional(list(port)),
});

const egressRule: Schema<NetworkPolicyEgressRule> = object({
  to: optional(list(peer)),
  ports: optional(list(port)),
});

const spec: Schema<NetworkPolicy['spec']> = object({
  // As the API server reads it, absent is empty and so selects every pod.
  podSelector: withDefault(labelSelector, () => ({ matchLabels: {}, matchExpressions: [] })),
  ingress: optional(list(ingressRule)),
  egress: optional(list(egressRule)),
  policyTypes: optional(list(wordText(['Ingress', 'Egress']))),
});

/** networking.k8s.io/v1 NetworkPolicy. */
export const networkPolicy: Schema<Pick<NetworkPolicy, 'metadata' | 'spec'>> = object({
  ...TYPE_FIELDS,
  metadata: required(namespacedMeta(dnsSubdomain)),
  spec: required(spec),
  status: ignored,
});
