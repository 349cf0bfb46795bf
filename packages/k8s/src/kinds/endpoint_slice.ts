import { dnsSubdomain, ipv4 } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { mapped } from '../schema/derived.ts';
import { ignored, ignoredFields, object, required } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { text, word } from '../schema/values.ts';
import type { EndpointSlice } from '../types.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';

const endpoint = object({
  addresses: required(list(text(ipv4))),
  ...ignoredFields('conditions hostname nodeName zone hints targetRef deprecatedTopology'),
});

/** discovery.k8s.io/v1 EndpointSlice, IPv4. */
export const endpointSlice: Schema<Omit<EndpointSlice, 'kind' | 'position'>> = mapped(
  object({
    ...TYPE_FIELDS,
    metadata: required(namespacedMeta(dnsSubdomain)),
    addressType: required(word(['IPv4'], { IPv6: 'IPv6 is', FQDN: 'endpoints with names are' })),
    endpoints: required(list(endpoint)),
    ports: ignored,
  }),
  ({ metadata, addressType, endpoints }) => ({ metadata, addressType, endpoints }),
);
