import type { Schema } from '../schema/schema.ts';
import type { K8sObject } from '../types.ts';
import { ciliumEndpoint, ciliumIdentity } from './cilium_identity.ts';
import { ciliumCidrGroup, ciliumClusterwideNetworkPolicy, ciliumNetworkPolicy } from './cilium_network_policy.ts';
import { ciliumNode } from './cilium_node.ts';
import { endpointSlice } from './endpoint_slice.ts';
import { namespace } from './namespace.ts';
import { networkPolicy } from './network_policy.ts';
import { node } from './node.ts';
import { pod } from './pod.ts';
import { secret } from './secret.ts';
import { service } from './service.ts';

export type Kind = K8sObject['kind'];
/** The type of the objects of a kind. */
export type ObjectOf<K extends Kind> = Extract<K8sObject, { kind: K }>;

interface KindSpec<K extends Kind> {
  /** The first is the one to use. */
  readonly apiVersions: readonly [string, ...string[]];
  readonly schema: Schema<Omit<ObjectOf<K>, 'kind' | 'position'>>;
}

/** Every kind that can be decoded. */
export const KINDS: { readonly [K in Kind]: KindSpec<K> } = {
  Namespace: { apiVersions: ['v1'], schema: namespace },
  Pod: { apiVersions: ['v1'], schema: pod },
  Service: { apiVersions: ['v1'], schema: service },
  NetworkPolicy: { apiVersions: ['networking.k8s.io/v1'], schema: networkPolicy },
  Secret: { apiVersions: ['v1'], schema: secret },
  EndpointSlice: { apiVersions: ['discovery.k8s.io/v1'], schema: endpointSlice },
  CiliumNetworkPolicy: { apiVersions: ['cilium.io/v2'], schema: ciliumNetworkPolicy },
  CiliumClusterwideNetworkPolicy: { apiVersions: ['cilium.io/v2'], schema: ciliumClusterwideNetworkPolicy },
  CiliumCIDRGroup: { apiVersions: ['cilium.io/v2', 'cilium.io/v2alpha1'], schema: ciliumCidrGroup },
  Node: { apiVersions: ['v1'], schema: node },
  CiliumNode: { apiVersions: ['cilium.io/v2'], schema: ciliumNode },
  CiliumIdentity: { apiVersions: ['cilium.io/v2'], schema: ciliumIdentity },
  CiliumEndpoint: { apiVersions: ['cilium.io/v2'], schema: ciliumEndpoint },
};

export const isKind = (word: string): word is Kind => Object.hasOwn(KINDS, word);

const WRITE_PODS = 'there are no controllers here: write the pods themselves';

/** Kinds that a user may well have, each with why it is refused. */
export const REFUSED_KINDS: ReadonlyMap<string, string> = new Map([
  ...['Deployment', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'StatefulSet', 'Job', 'CronJob'].map(
    (kind): [string, string] => [kind, WRITE_PODS],
  ),
  ...[
    ...['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'],
    ...['CiliumLocalRedirectPolicy', 'CiliumEgressGatewayPolicy', 'CiliumEndpointSlice'],
    ...['Endpoints', 'Ingress', 'Gateway', 'HTTPRoute', 'ConfigMap'],
    ...['ServiceAccount', 'AdminNetworkPolicy', 'BaselineAdminNetworkPolicy'],
  ].map((kind): [string, string] => [kind, 'not modelled yet']),
]);
