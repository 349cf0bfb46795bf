import type {
  CiliumNetworkPolicy,
  IngressRule,
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyPeer,
  PortProtocol,
  PortRule,
  Position,
  Rule,
} from '@ciliate/k8s';
import { identityLabelsOf, Labels } from '@ciliate/labels';

// Reads the published vectors: turns their JSON objects into what the k8s room decodes, and numbers the identities as
// their README says. Only input fields are used here.

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON, looked at field by field
type Json = any;

export interface VectorCase {
  name: string;
  config: Record<string, unknown> & { clusterName: string; enableIPv4: boolean; enableIPv6: boolean };
  namespaces: Record<string, { labels: Record<string, string> }>;
  endpoints: VectorEndpoint[];
  cidrGroups: unknown[];
  kubeAPIServerCIDRs: unknown[];
  policies: Json[];
  flows: { src: string; dst: string; protocol: string; dport?: number; icmpType?: number; ingress: Json }[];
  policyEnabled: Record<string, { ingress: boolean; egress: boolean }>;
  mapstate: Record<string, Json[]>;
  l7: Record<string, Json[]>;
}
interface VectorEndpoint {
  name: string;
  namespace: string;
  cluster: string;
  local: boolean;
  special?: 'init' | 'health';
  serviceAccount?: string;
  labels: Record<string, string>;
}

export const RESERVED: readonly (readonly [number, Labels])[] = [
  'host',
  'world',
  'unmanaged',
  'health',
  'init',
  'remote-node',
  'kube-apiserver remote-node',
  'ingress',
  'world-ipv4',
  'world-ipv6',
].map((names, index) => [index + 1, Labels.parse(names.split(' ').map((name) => `reserved:${name}`))]);

const SPECIAL: Record<string, number> = { health: 4, init: 5 };

/** Endpoint name → identity and labels. */
export function identitiesOf(vector: VectorCase): Map<string, { identity: number; labels: Labels }> {
  const numbers = new Map<string, number>();
  const next = { local: 1001, other: 2 * 65536 + 1001 };
  return new Map(
    vector.endpoints.map((endpoint) => {
      const labels = labelsOf(endpoint, vector);
      const list = labels.sortedList();
      let identity = endpoint.special ? SPECIAL[endpoint.special] : numbers.get(list);
      if (identity === undefined) {
        identity = endpoint.cluster === vector.config.clusterName ? next.local++ : next.other++;
        numbers.set(list, identity);
      }
      return [endpoint.name, { identity, labels }];
    }),
  );
}

function labelsOf(endpoint: VectorEndpoint, vector: VectorCase): Labels {
  if (endpoint.special) return Labels.parse([`reserved:${endpoint.special}`]);
  const { labels, namespace, serviceAccount, cluster } = endpoint;
  const namespaceLabels = vector.namespaces[namespace]?.labels ?? {};
  return identityLabelsOf({ podLabels: labels ?? {}, namespaceLabels, namespace, serviceAccount, cluster });
}

const PLACES = 'host world unmanaged health init remote-node kube-apiserver ingress'.split(' ');

/** The identity a flow's source has where no policy speaks of prefixes. */
export function sourceIdentity(vector: VectorCase, src: string): number {
  const endpoint = identitiesOf(vector).get(src);
  if (endpoint) return endpoint.identity;
  if (!src.startsWith('world:')) return PLACES.indexOf(src) + 1;
  if (!vector.config.enableIPv4 || !vector.config.enableIPv6) return 2;
  return src.slice('world:'.length).includes(':') ? 10 : 9;
}

export class Unsupported extends Error {}

/**
 * The ingress half of a policy object; undefined if it has none.
 * @throws Unsupported if that half uses what this package does not do yet
 */
export function ingressHalf(object: Json): NetworkPolicy | CiliumNetworkPolicy | undefined {
  const { name, namespace = 'default' } = object.metadata;
  const metadata = { name, namespace, labels: {}, annotations: {} };
  const position = { file: `${name}.yaml`, line: 1, column: 1 };
  if (object.kind === 'NetworkPolicy') {
    const { podSelector, ingress, policyTypes = [] } = object.spec;
    if (!ingress?.length && policyTypes?.includes('Egress') && !policyTypes.includes('Ingress')) return undefined;
    const rules = ingress?.map((rule: Json) => ({
      position,
      from: rule.from?.map((peer: Json) => networkPeer(peer, position)),
      ports: rule.ports?.map((port: Json) => networkPort(port, position)),
    }));
    return { kind: 'NetworkPolicy', position, metadata, spec: { podSelector: selector(podSelector), ingress: rules } };
  }
  if (object.kind !== 'CiliumNetworkPolicy') throw new Unsupported(object.kind);
  const specs = [object.spec, ...(object.specs ?? [])]
    .filter((spec: Json) => spec && (spec.ingress?.length || spec.ingressDeny?.length))
    .map((spec: Json) => ciliumSpec(spec, position));
  return specs.length === 0 ? undefined : { kind: 'CiliumNetworkPolicy', position, metadata, specs };
}

/** Has the object anything to say about egress, or its defaults? */
export function mentionsEgress(object: Json): boolean {
  if (object.kind === 'NetworkPolicy')
    return (object.spec.policyTypes ?? []).includes('Egress') || 'egress' in object.spec;
  return [object.spec, ...(object.specs ?? [])].some(
    (spec: Json) => spec && ('egress' in spec || 'egressDeny' in spec),
  );
}

function ciliumSpec(spec: Json, position: Position): Rule {
  only(spec, 'endpointSelector ingress egress egressDeny description labels');
  if (!spec.endpointSelector) throw new Unsupported('no endpointSelector');
  const ingress = (spec.ingress ?? []).map((rule: Json): IngressRule => {
    only(rule ?? {}, 'fromEndpoints fromEntities toPorts');
    return {
      position,
      fromEndpoints: list(rule?.fromEndpoints)?.map((peer) => ({ ...selector(peer), position })),
      fromEntities: list(rule?.fromEntities),
      toPorts: list(rule?.toPorts)?.map((ports) => ciliumPorts(ports, position)),
    };
  });
  return { position, endpointSelector: selector(spec.endpointSelector), ingress, description: undefined };
}

function ciliumPorts(rule: Json, position: Position): PortRule {
  only(rule, 'ports rules');
  const rules = rule.rules && {
    http: list(rule.rules.http)?.map((http) => {
      only(http, 'method path host');
      return { position, method: http.method, path: http.path, host: http.host };
    }),
  };
  if (rule.rules) only(rule.rules, 'http');
  const ports = (rule.ports ?? []).map(({ port, protocol, endPort }: Json): PortProtocol => {
    if (endPort) throw new Unsupported('named port or range');
    return { position, port, protocol: protocol ? protocol.toUpperCase() : 'ANY' };
  });
  return { position, ports, rules: rules ?? undefined };
}

function networkPeer(peer: Json, position: Position): NetworkPolicyPeer {
  only(peer, 'podSelector namespaceSelector');
  const { podSelector, namespaceSelector } = peer;
  return {
    position,
    podSelector: podSelector && selector(podSelector),
    namespaceSelector: namespaceSelector && selector(namespaceSelector),
  };
}

function networkPort({ port, protocol, endPort }: Json, position: Position) {
  if (endPort || typeof port === 'string') throw new Unsupported('named port or range');
  return { position, port: port ?? undefined, protocol: protocol ?? 'TCP' };
}

function selector(source: Json): LabelSelector {
  const expressions = source?.matchExpressions ?? [];
  return {
    matchLabels: source?.matchLabels ?? {},
    matchExpressions: expressions.map(({ key, operator, values }: Json) => ({ key, operator, values: values ?? [] })),
  };
}

const list = (value: Json): Json[] | undefined => value ?? undefined;

function only(object: Json, fields: string): void {
  const other = Object.keys(object).find((field) => object[field] !== null && !fields.split(' ').includes(field));
  if (other !== undefined) throw new Unsupported(other);
}
