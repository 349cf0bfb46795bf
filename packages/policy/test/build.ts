import type {
  CiliumNetworkPolicy,
  IngressRule,
  L4Protocol,
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyIngressRule,
  PortRule,
  PortRuleHTTP,
  Position,
} from '@ciliate/k8s';
import { identityLabelsOf, type Labels } from '@ciliate/labels';
import { SelectorCache } from '../src/index.ts';
import { RESERVED } from './cases.ts';

// Short hands for the objects that the k8s room decodes.

export const at = (line: number): Position => ({ file: 'p.yaml', line, column: 3 });

export const select = (matchLabels: Record<string, string> = {}): LabelSelector => ({
  matchLabels,
  matchExpressions: [],
});

export interface IngressSpec {
  endpoints?: Record<string, string>[] | undefined;
  entities?: string[] | undefined;
  ports?: PortRule[] | undefined;
}

export const port = (number: number | string, protocol: L4Protocol | 'ANY' = 'TCP', ...http: Partial<PortRuleHTTP>[]) =>
  ({
    position: at(20),
    ports: [{ position: at(21), port: String(number), protocol }],
    rules: http.length === 0 ? undefined : { http: http.map((rule) => httpRule(rule)) },
  }) satisfies PortRule;

const httpRule = ({ method, path, host }: Partial<PortRuleHTTP>): PortRuleHTTP => ({
  position: at(22),
  method,
  path,
  host,
});

export const ingress = ({ endpoints, entities, ports }: IngressSpec, line = 10): IngressRule => ({
  position: at(line),
  fromEndpoints: endpoints?.map((labels, index) => ({ ...select(labels), position: at(line + index + 1) })),
  fromEntities: entities,
  toPorts: ports,
});

/** A CiliumNetworkPolicy in namespace `default` for pods with the given labels. */
export function cnp(name: string, subject: Record<string, string>, ...rules: IngressSpec[]): CiliumNetworkPolicy {
  const spec = {
    position: at(5),
    endpointSelector: select(subject),
    ingress: rules.map((rule, index) => ingress(rule, 10 * (index + 1))),
    description: undefined,
  };
  return { kind: 'CiliumNetworkPolicy', position: at(1), metadata: metadata(name), specs: [spec] };
}

/** A NetworkPolicy in namespace `default`. */
export function networkPolicy(
  name: string,
  podSelector: LabelSelector,
  rules?: NetworkPolicyIngressRule[],
): NetworkPolicy {
  return { kind: 'NetworkPolicy', position: at(1), metadata: metadata(name), spec: { podSelector, ingress: rules } };
}

export const metadata = (name: string, namespace = 'default') => ({ name, namespace, labels: {}, annotations: {} });

export const pod = (labels: Record<string, string>, namespace = 'default'): Labels =>
  identityLabelsOf({
    podLabels: labels,
    namespaceLabels: { team: `${namespace}-team` },
    namespace,
    serviceAccount: 'default',
    cluster: 'default',
  });

/** A cache that knows the reserved identities and these. */
export const cacheOf = (identities: Iterable<readonly [number, Labels]>): SelectorCache =>
  new SelectorCache([...RESERVED, ...identities]);
