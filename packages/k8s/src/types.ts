/**
 * The objects the emulator understands, as decoded from YAML. Defaults are filled in, so that a field is `undefined`
 * only where the meaning of Kubernetes or Cilium needs "absent" to differ from "empty".
 */

/** Where a value begins in its file; `line` and `column` count from 1. */
export interface Position {
  file: string;
  line: number;
  column: number;
}

/** `namespace` is '' for an object that belongs to the whole cluster (Namespace). */
export interface ObjectMeta {
  name: string;
  namespace: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface LabelSelectorRequirement {
  key: string;
  /** `In`, `NotIn` (at least one value each), `Exists` or `DoesNotExist` (no values). */
  operator: string;
  values: string[];
}

/** Both parts empty: selects everything. */
export interface LabelSelector {
  matchLabels: Record<string, string>;
  matchExpressions: LabelSelectorRequirement[];
}

export type L4Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface Namespace {
  kind: 'Namespace';
  position: Position;
  metadata: ObjectMeta;
}

export interface ContainerPort {
  name: string | undefined;
  containerPort: number;
  protocol: L4Protocol;
}

/** A pod that already runs somewhere: the emulator has no scheduler, so its address must be written down. */
export interface Pod {
  kind: 'Pod';
  position: Position;
  metadata: ObjectMeta;
  /** `serviceAccountName` is `default` when not given. */
  spec: {
    nodeName: string | undefined;
    serviceAccountName: string;
    containers: { name: string; ports: ContainerPort[] }[];
  };
  /** IPv4 addresses in dotted form. */
  status: { podIP: string; hostIP: string | undefined };
}

export interface ServicePort {
  name: string | undefined;
  port: number;
  /** A number, or the name of a container port; `port` when not given. */
  targetPort: number | string;
  protocol: L4Protocol;
}

export interface Service {
  kind: 'Service';
  position: Position;
  metadata: ObjectMeta;
  /** `clusterIP` is an IPv4 address in dotted form. */
  spec: { type: 'ClusterIP'; clusterIP: string; selector: Record<string, string>; ports: ServicePort[] };
}

/** networking.k8s.io/v1. Neither selector: a peer that names nobody, which Cilium accepts and treats in its own way. */
export interface NetworkPolicyPeer {
  position: Position;
  podSelector: LabelSelector | undefined;
  namespaceSelector: LabelSelector | undefined;
}

/** `port` undefined: every port of the protocol. */
export interface NetworkPolicyPort {
  position: Position;
  port: number | undefined;
  protocol: L4Protocol;
}

/** An absent or empty `from` is any peer, absent or empty `ports` is any port; both forms are kept as written. */
export interface NetworkPolicyIngressRule {
  position: Position;
  from: NetworkPolicyPeer[] | undefined;
  ports: NetworkPolicyPort[] | undefined;
}

export interface NetworkPolicy {
  kind: 'NetworkPolicy';
  position: Position;
  metadata: ObjectMeta;
  spec: { podSelector: LabelSelector; ingress: NetworkPolicyIngressRule[] | undefined };
}

/** cilium.io/v2; each field is a regular expression, absent: anything. */
export interface PortRuleHTTP {
  position: Position;
  path: string | undefined;
  method: string | undefined;
  host: string | undefined;
}

/** `port` is a decimal number as a string, as in Cilium's types; `0` is every port. */
export interface PortProtocol {
  position: Position;
  port: string;
  protocol: L4Protocol | 'ANY';
}

export interface PortRule {
  position: Position;
  ports: PortProtocol[];
  rules: { http: PortRuleHTTP[] | undefined } | undefined;
}

/** For each field: undefined is absent (no restriction), [] is present and empty (selects nothing). */
export interface IngressRule {
  position: Position;
  fromEndpoints: (LabelSelector & { position: Position })[] | undefined;
  fromEntities: string[] | undefined;
  toPorts: PortRule[] | undefined;
}

/** `ingress` undefined: the rule says nothing about ingress. */
export interface Rule {
  position: Position;
  endpointSelector: LabelSelector;
  ingress: IngressRule[] | undefined;
  description: string | undefined;
}

/** `specs` is `spec` and `specs` joined, in that order. */
export interface CiliumNetworkPolicy {
  kind: 'CiliumNetworkPolicy';
  position: Position;
  metadata: ObjectMeta;
  specs: Rule[];
}

export type K8sObject = Namespace | Pod | Service | NetworkPolicy | CiliumNetworkPolicy;
