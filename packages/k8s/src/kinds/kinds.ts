import type { Schema } from '../schema/schema.ts';
import type { K8sObject } from '../types.ts';
import { ciliumNetworkPolicy } from './cilium_network_policy.ts';
import { namespace } from './namespace.ts';
import { networkPolicy } from './network_policy.ts';
import { pod } from './pod.ts';
import { service } from './service.ts';

export type Kind = K8sObject['kind'];
/** The type of the objects of a kind. */
export type ObjectOf<K extends Kind> = Extract<K8sObject, { kind: K }>;

interface KindSpec<K extends Kind> {
  readonly apiVersion: string;
  readonly schema: Schema<Omit<ObjectOf<K>, 'kind' | 'position'>>;
}

/** Every kind that can be decoded. */
export const KINDS: { readonly [K in Kind]: KindSpec<K> } = {
  Namespace: { apiVersion: 'v1', schema: namespace },
  Pod: { apiVersion: 'v1', schema: pod },
  Service: { apiVersion: 'v1', schema: service },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', schema: networkPolicy },
  CiliumNetworkPolicy: { apiVersion: 'cilium.io/v2', schema: ciliumNetworkPolicy },
};

export const isKind = (word: string): word is Kind => Object.hasOwn(KINDS, word);

const WRITE_PODS = 'there are no controllers here: write the pods themselves';

/** Kinds that a user may well have, each with why it is refused. */
export const REFUSED_KINDS: ReadonlyMap<string, string> = new Map([
  ...['Deployment', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'StatefulSet', 'Job', 'CronJob'].map(
    (kind): [string, string] => [kind, WRITE_PODS],
  ),
  ...[
    ...['CiliumClusterwideNetworkPolicy', 'CiliumCIDRGroup', 'CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'],
    ...['CiliumLocalRedirectPolicy', 'CiliumEgressGatewayPolicy', 'CiliumEndpoint', 'CiliumIdentity', 'CiliumNode'],
    ...['Endpoints', 'EndpointSlice', 'Ingress', 'Gateway', 'HTTPRoute', 'Node', 'Secret', 'ConfigMap'],
    ...['ServiceAccount', 'AdminNetworkPolicy', 'BaselineAdminNetworkPolicy'],
  ].map((kind): [string, string] => [kind, 'not modelled yet']),
]);
