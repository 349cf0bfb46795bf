import { dnsSubdomain, ip } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked, mapped } from '../schema/derived.ts';
import { ignored, ignoredFields, object, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { string } from '../schema/values.ts';
import type { Node, NodeAddress } from '../types.ts';
import { clusterMeta, TYPE_FIELDS } from './meta.ts';

/** Types of addresses that are names. */
const NAMES: ReadonlySet<string> = new Set(['Hostname', 'InternalDNS', 'ExternalDNS']);

const address = checked(object({ type: required(string), address: required(string) }), ({ type, address }, fail) => {
  const wrong = NAMES.has(type) ? undefined : ip(address);
  if (wrong !== undefined) fail(wrong, { at: ['address'] });
});

const addresses: Schema<NodeAddress[]> = mapped(list(address), (all) =>
  all.filter(({ type }) => !NAMES.has(type)).map((one) => ({ type: one.type, ip: one.address })),
);

const status: Schema<Node['status']> = object({
  addresses: withDefault(addresses, () => []),
  ...ignoredFields('allocatable capacity conditions config daemonEndpoints features images nodeInfo phase'),
  ...ignoredFields('runtimeHandlers volumesAttached volumesInUse'),
});

/** v1 Node: its labels and addresses matter. */
export const node: Schema<Pick<Node, 'metadata' | 'status'>> = object({
  ...TYPE_FIELDS,
  metadata: required(clusterMeta(dnsSubdomain)),
  spec: ignored,
  status: withDefault(status, () => ({ addresses: [] })),
});
