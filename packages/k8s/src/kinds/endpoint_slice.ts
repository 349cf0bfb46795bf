import { dnsSubdomain, ip, isIpv6 } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked } from '../schema/derived.ts';
import { ignored, ignoredFields, object, optional, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { boolean, integer, string, text, word } from '../schema/values.ts';
import type { EndpointConditions, EndpointPort, EndpointSlice } from '../types.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { MAX_PORT, protocol } from './pod.ts';

const conditions: Schema<EndpointConditions> = object({
  ready: optional(boolean),
  serving: optional(boolean),
  terminating: optional(boolean),
});

const endpoint: Schema<EndpointSlice['endpoints'][number]> = object({
  addresses: required(list(text(ip))),
  conditions: withDefault(conditions, () => ({ ready: undefined, serving: undefined, terminating: undefined })),
  nodeName: optional(string),
  // Zones choose among backends only where the node has one, and this one has none.
  ...ignoredFields('hostname zone hints targetRef deprecatedTopology'),
});

const port: Schema<EndpointPort> = object({
  name: withDefault(string, () => ''),
  port: optional(integer(1, MAX_PORT)),
  protocol,
  appProtocol: ignored,
});

/** discovery.k8s.io/v1 EndpointSlice. */
export const endpointSlice: Schema<Omit<EndpointSlice, 'kind' | 'position'>> = checked(
  object({
    ...TYPE_FIELDS,
    metadata: required(namespacedMeta(dnsSubdomain)),
    addressType: required(word(['IPv4', 'IPv6'], { FQDN: 'endpoints with names are' })),
    endpoints: withDefault(list(endpoint), () => []),
    ports: withDefault(list(port), () => []),
  }),
  ({ addressType, endpoints }, fail) => {
    for (const [i, { addresses }] of endpoints.entries())
      for (const [j, address] of addresses.entries())
        if (isIpv6(address) !== (addressType === 'IPv6'))
          fail(`${address} is no ${addressType} address`, { at: ['endpoints', i, 'addresses', j] });
  },
);
