import { dnsSubdomain, ip } from '../formats.ts';
import { list, stringMap } from '../schema/collections.ts';
import { checked, mapped } from '../schema/derived.ts';
import { ignored, ignoredFields, object, optional, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { integer, string, text } from '../schema/values.ts';
import type { CiliumEndpoint, CiliumIdentity } from '../types.ts';
import { clusterMeta, namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { protocol } from './pod.ts';

/** Says when the operator found that nobody uses the identity. */
export const HEARTBEAT_ANNOTATION = 'io.cilium.heartbeat';
const MAX_WIRE_IDENTITY = 0xffffff;

const identityName = (value: string): string | undefined =>
  /^[1-9][0-9]{0,7}$/.test(value) && Number(value) <= MAX_WIRE_IDENTITY
    ? undefined
    : `want the number of an identity, 1 to ${MAX_WIRE_IDENTITY}`;

/** `source:key`, as Cilium writes it. */
const securityLabel = (key: string): string | undefined =>
  /^[^:]+:./.test(key) ? undefined : `want source:key, as k8s:app; found ${JSON.stringify(key)}`;

/** cilium.io/v2 CiliumIdentity: the number of a label set; its name is the number. */
export const ciliumIdentity: Schema<Pick<CiliumIdentity, 'metadata' | 'securityLabels'>> = mapped(
  object({
    ...TYPE_FIELDS,
    metadata: required(clusterMeta(identityName, { [HEARTBEAT_ANNOTATION]: () => undefined })),
    'security-labels': required(
      checked(stringMap(securityLabel), (labels, fail) => {
        if (Object.keys(labels).length === 0) fail('an identity needs at least one label');
      }),
    ),
  }),
  ({ metadata, 'security-labels': securityLabels }) => ({ metadata, securityLabels }),
);

const address: Schema<string[]> = mapped(
  object({ ipv4: optional(text(ip)), ipv6: optional(text(ip)) }),
  ({ ipv4, ipv6 }) => [ipv4, ipv6].filter((one) => one !== undefined),
);

const namedPort = mapped(
  object({ name: required(string), port: required(integer(1, 0xffff)), protocol }),
  ({ name, port, protocol }) => ({ name, port, protocol }),
);

const status = mapped(
  object({
    id: required(integer(1, 0xffff)),
    identity: required(object({ id: required(integer(1, MAX_WIRE_IDENTITY)), labels: ignored })),
    networking: required(object({ node: required(text(ip)), addressing: withDefault(list(address), () => []) })),
    'named-ports': withDefault(list(namedPort), () => []),
    ...ignoredFields('controllers encryption external-identifiers health log policy service-account state'),
  }),
  ({ id, identity, networking, 'named-ports': namedPorts }): CiliumEndpoint['status'] => ({
    ...{ id, identity: identity.id, node: networking.node, addresses: networking.addressing.flat(), namedPorts },
  }),
);

/** cilium.io/v2 CiliumEndpoint: what a node's agent tells others of a pod. */
export const ciliumEndpoint: Schema<Pick<CiliumEndpoint, 'metadata' | 'status'>> = object({
  ...TYPE_FIELDS,
  metadata: required(namespacedMeta(dnsSubdomain)),
  status: required(status),
});
