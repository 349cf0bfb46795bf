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
  /**
   * Addresses as written. `podIPs`: at most one of each family, the first is `podIP`; `hostIPs`: of its node, the first is
   * `hostIP`, none if the pod does not say.
   */
  status: { podIP: string; podIPs: string[]; hostIP: string | undefined; hostIPs: string[] };
}

export interface ServicePort {
  name: string | undefined;
  port: number;
  /** A number, or the name of a container port; `port` when not given. */
  targetPort: number | string;
  protocol: L4Protocol;
  /** undefined: not reached by the node's addresses. */
  nodePort: number | undefined;
}

export type IPFamily = 'IPv4' | 'IPv6';
/** Local: only backends on the client's node. */
export type TrafficPolicy = 'Cluster' | 'Local';

/** Addresses are texts of either family, as written. */
export interface Service {
  kind: 'Service';
  position: Position;
  metadata: ObjectMeta;
  spec: {
    type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
    /** The first of `clusterIPs`, or `None`: headless. */
    clusterIP: string;
    /** At most one of each family; none of a headless service. */
    clusterIPs: string[];
    /** By default those of `clusterIPs`; IPv4 of a headless service. */
    ipFamilies: IPFamily[];
    /** undefined: the backends are those that EndpointSlices name. */
    selector: Record<string, string> | undefined;
    ports: ServicePort[];
    externalIPs: string[];
    /** For clients from outside of the cluster, and from inside. */
    externalTrafficPolicy: TrafficPolicy;
    internalTrafficPolicy: TrafficPolicy;
    /** undefined: a client need not come to the same backend again. */
    sessionAffinity: { timeoutSeconds: number } | undefined;
    /** Prefixes, bits behind them as written. Empty: everybody. */
    loadBalancerSourceRanges: string[];
  };
  /** What a load balancer has given; entries that are names are left out. */
  status: { loadBalancerIPs: string[] };
}

export interface EndpointConditions {
  /** undefined: not known, which counts as ready. */
  ready: boolean | undefined;
  /** undefined: as `ready`. */
  serving: boolean | undefined;
  terminating: boolean | undefined;
}

export interface EndpointPort {
  /** '': none. */
  name: string;
  /** undefined: every port, which is nobody's frontend. */
  port: number | undefined;
  protocol: L4Protocol;
}

/** discovery.k8s.io/v1; of the service that its label `kubernetes.io/service-name` names. */
export interface EndpointSlice {
  kind: 'EndpointSlice';
  position: Position;
  metadata: ObjectMeta;
  addressType: IPFamily;
  endpoints: { addresses: string[]; conditions: EndpointConditions; nodeName: string | undefined }[];
  ports: EndpointPort[];
}

export interface Secret {
  kind: 'Secret';
  position: Position;
  metadata: ObjectMeta;
  /** `Opaque` if not given. */
  type: string;
  /** Both `data`, decoded, and `stringData`; a character stands for a byte. */
  data: Record<string, string>;
}

// The policy objects below have the shapes of the Go types that the agent decodes: a field is undefined if it is absent or
// null, and an empty list stays an empty list, because Cilium tells the two apart. Words and numbers in them are as
// written; the policy room checks them. Where a field stands in its file is found by positionOf(object, path).

/** networking.k8s.io/v1; `endPort` undefined: one port. */
export interface NetworkPolicyPort {
  protocol: string | undefined;
  /** A number, or the name of a container port. */
  port: number | string | undefined;
  endPort: number | undefined;
}

export interface IPBlock {
  cidr: string;
  except: string[] | undefined;
}

export interface NetworkPolicyPeer {
  podSelector: LabelSelector | undefined;
  namespaceSelector: LabelSelector | undefined;
  ipBlock: IPBlock | undefined;
}

export interface NetworkPolicyIngressRule {
  from: NetworkPolicyPeer[] | undefined;
  ports: NetworkPolicyPort[] | undefined;
}

export interface NetworkPolicyEgressRule {
  to: NetworkPolicyPeer[] | undefined;
  ports: NetworkPolicyPort[] | undefined;
}

export interface NetworkPolicy {
  kind: 'NetworkPolicy';
  position: Position;
  metadata: ObjectMeta;
  spec: {
    podSelector: LabelSelector;
    ingress: NetworkPolicyIngressRule[] | undefined;
    egress: NetworkPolicyEgressRule[] | undefined;
    policyTypes: string[] | undefined;
  };
}

/** A Kubernetes Secret; `namespace` '' is the policy's own. */
export interface SecretRef {
  namespace: string;
  name: string;
}

export interface HeaderMatch {
  /** LOG, ADD, DELETE, REPLACE; '' drops the request. */
  mismatch: string;
  name: string;
  secret: SecretRef | undefined;
  value: string;
}

/** Source of this and the types below: pkg/policy/api. An absent text is ''. */
export interface PortRuleHTTP {
  path: string;
  method: string;
  host: string;
  headers: string[] | undefined;
  headerMatches: HeaderMatch[] | undefined;
}

export interface PortRuleKafka {
  role: string;
  apiKey: string;
  apiVersion: string;
  clientID: string;
  topic: string;
}

/** Also the form of `toFQDNs`. */
export interface FQDNSelector {
  matchName: string;
  matchPattern: string;
}

export interface L7Rules {
  http: PortRuleHTTP[] | undefined;
  kafka: PortRuleKafka[] | undefined;
  dns: FQDNSelector[] | undefined;
  l7proto: string;
  l7: Record<string, string>[] | undefined;
}

/** `port` is a number in text or a port's name; `protocol` '' is ANY; `endPort` 0: one port. */
export interface PortProtocol {
  port: string;
  endPort: number;
  protocol: string;
}

export interface TLSContext {
  secret: SecretRef | undefined;
  trustedCA: string;
  certificate: string;
  privateKey: string;
}

export interface Listener {
  envoyConfig: { kind: string; name: string } | undefined;
  name: string;
  /** 0: not given. */
  priority: number;
}

/** In a deny rule only `ports` is known. */
export interface PortRule {
  ports: PortProtocol[] | undefined;
  terminatingTLS: TLSContext | undefined;
  originatingTLS: TLSContext | undefined;
  serverNames: string[] | undefined;
  listener: Listener | undefined;
  rules: L7Rules | undefined;
}

export interface ICMPField {
  /** '' is IPv4. */
  family: string;
  /** A number 0..255, or the CamelCase name of a type of the family. */
  type: number | string;
}

export interface ICMPRule {
  fields: ICMPField[] | undefined;
}

/** Exactly one of the first three is meant to be there. */
export interface CIDRRule {
  cidr: string;
  cidrGroupRef: string;
  cidrGroupSelector: LabelSelector | undefined;
  except: string[] | undefined;
}

export interface ServiceSelector {
  k8sServiceSelector: { selector: LabelSelector; namespace: string } | undefined;
  k8sService: { serviceName: string; namespace: string } | undefined;
}

/** Of a cloud provider: known, so that it can be refused by name. */
export interface Groups {
  aws: unknown;
}

/**
 * One entry of `ingress`, `egress`, `ingressDeny` or `egressDeny`: the four differ in the prefix of their peers' names
 * (`fromEndpoints`, `toEndpoints`: here `endpoints`) and in what they may hold. What an entry may not hold is undefined.
 */
export interface DirectionRule {
  endpoints: LabelSelector[] | undefined;
  requires: LabelSelector[] | undefined;
  cidr: string[] | undefined;
  cidrSet: CIDRRule[] | undefined;
  entities: string[] | undefined;
  groups: Groups[] | undefined;
  nodes: LabelSelector[] | undefined;
  /** Egress only. */
  services: ServiceSelector[] | undefined;
  /** Egress allow only. */
  fqdns: FQDNSelector[] | undefined;
  toPorts: PortRule[] | undefined;
  icmps: ICMPRule[] | undefined;
  /** Allow only. */
  authentication: { mode: string } | undefined;
}

export interface Rule {
  endpointSelector: LabelSelector | undefined;
  nodeSelector: LabelSelector | undefined;
  ingress: DirectionRule[] | undefined;
  ingressDeny: DirectionRule[] | undefined;
  egress: DirectionRule[] | undefined;
  egressDeny: DirectionRule[] | undefined;
  enableDefaultDeny: { ingress: boolean | undefined; egress: boolean | undefined };
  /** As in Cilium's JSON: key, value, source. */
  labels: { key: string; value: string; source: string }[] | undefined;
  description: string;
  log: { value: string } | undefined;
}

/** cilium.io/v2. */
export interface CiliumNetworkPolicy {
  kind: 'CiliumNetworkPolicy';
  position: Position;
  metadata: ObjectMeta;
  spec: Rule | undefined;
  specs: Rule[] | undefined;
}

/** cilium.io/v2; `metadata.namespace` is ''. */
export interface CiliumClusterwideNetworkPolicy extends Omit<CiliumNetworkPolicy, 'kind'> {
  kind: 'CiliumClusterwideNetworkPolicy';
}

/** cilium.io/v2 (and v2alpha1); `metadata.namespace` is ''. */
export interface CiliumCIDRGroup {
  kind: 'CiliumCIDRGroup';
  position: Position;
  metadata: ObjectMeta;
  spec: { externalCIDRs: string[] };
}

/** `type` is `InternalIP`, `ExternalIP`, `CiliumInternalIP` or another that Cilium knows; `ip` an address as written. */
export interface NodeAddress {
  type: string;
  ip: string;
}

/** v1; of its addresses those that are no names. */
export interface Node {
  kind: 'Node';
  position: Position;
  metadata: ObjectMeta;
  status: { addresses: NodeAddress[] };
}

/** cilium.io/v2; `health` and `ingress` are addresses of these endpoints on the node. */
export interface CiliumNode {
  kind: 'CiliumNode';
  position: Position;
  metadata: ObjectMeta;
  spec: { addresses: NodeAddress[]; health: string[]; ingress: string[] };
}

/** cilium.io/v2; the name is the number. */
export interface CiliumIdentity {
  kind: 'CiliumIdentity';
  position: Position;
  metadata: ObjectMeta;
  /** `k8s:app` → `web`. */
  securityLabels: Record<string, string>;
}

/** cilium.io/v2, with the name of its pod. */
export interface CiliumEndpoint {
  kind: 'CiliumEndpoint';
  position: Position;
  metadata: ObjectMeta;
  /** `id` on the node with the address `node`. */
  status: {
    id: number;
    identity: number;
    node: string;
    addresses: string[];
    namedPorts: { name: string; port: number; protocol: L4Protocol }[];
  };
}

export type PolicyObject = NetworkPolicy | CiliumNetworkPolicy | CiliumClusterwideNetworkPolicy;
export type K8sObject =
  | (Namespace | Pod | Service | EndpointSlice | Secret | PolicyObject | CiliumCIDRGroup | Node | CiliumNode)
  | (CiliumIdentity | CiliumEndpoint);
