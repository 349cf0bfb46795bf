import { dnsSubdomain, ip } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked, mapped } from '../schema/derived.ts';
import { ignored, ignoredFields, object, optional, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { int32, string, text } from '../schema/values.ts';
import type { CiliumNode } from '../types.ts';
import { clusterMeta, TYPE_FIELDS } from './meta.ts';

/** The last of the reserved identities (`world-ipv6`). */
const LAST_RESERVED = 10;

/** Of the health endpoint, or of the node's ingress: at most one of each family. */
const addressing: Schema<string[]> = mapped(
  object({ ipv4: optional(text(ip)), ipv6: optional(text(ip)) }),
  ({ ipv4, ipv6 }) => [ipv4, ipv6].filter((one) => one !== undefined),
);

const spec: Schema<CiliumNode['spec']> = mapped(
  object({
    addresses: withDefault(list(object({ type: required(string), ip: required(text(ip)) })), () => []),
    health: withDefault(addressing, () => []),
    ingress: withDefault(addressing, () => []),
    nodeidentity: optional(
      checked(int32, (identity, fail) => {
        if (identity < 0 || identity > LAST_RESERVED) fail('nodes with an identity of their own are not modelled yet');
      }),
    ),
    ...ignoredFields('alibaba-cloud azure bootid encryption eni instance-id ipam'),
  }),
  ({ addresses, health, ingress }) => ({ addresses, health, ingress }),
);

/** cilium.io/v2 CiliumNode: what a node's agent tells the other agents of its addresses. */
export const ciliumNode: Schema<Pick<CiliumNode, 'metadata' | 'spec'>> = object({
  ...TYPE_FIELDS,
  metadata: required(clusterMeta(dnsSubdomain)),
  spec: required(spec),
  status: ignored,
});
