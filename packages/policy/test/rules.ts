import { EndpointSelector, Labels } from '@ciliate/labels';
import type { FQDNSelector, L7Rules, PeerRule, PortProtocol, PortRule, Rule, RuleOrigin } from '../src/api/rule.ts';
import { DEFAULT_POLICY_CONFIG, type PolicyConfig } from '../src/config.ts';
import type { EndpointPolicy } from '../src/endpoint_policy.ts';
import { lookupMapState } from '../src/lookup.ts';
import type { NamedPort } from '../src/named_ports.ts';
import { NamedPorts } from '../src/named_ports.ts';
import { SelectorPolicy } from '../src/selector_policy.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import type { MapStateEntry } from '../src/types/entry.ts';

// Short hands for checked rules, as the translation of policy objects makes them, and for what is computed from them.

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

/** Labels of a pod in namespace `default`. */
export const pod = (labels: Record<string, string>): Labels =>
  Labels.parse([
    ...Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`),
    'k8s:io.kubernetes.pod.namespace=default',
  ]);

export const select = (matchLabels: Record<string, string>): EndpointSelector =>
  EndpointSelector.parse({ matchLabels, matchExpressions: [] });
export const entity = (name: string): EndpointSelector =>
  name === 'all' ? EndpointSelector.wildcard : EndpointSelector.ofLabels({ source: 'reserved', key: name, value: '' });

export const tcp = (port: number | string, endPort = 0): PortProtocol => ({ port, endPort, protocol: 'TCP' });
const NOTHING: L7Rules = { http: [], kafka: [], dns: [], l7proto: '', l7: [] };
export const ports = (list: readonly PortProtocol[], more: Partial<PortRule> = {}): PortRule => ({
  ports: list,
  l7: undefined,
  terminatingTLS: undefined,
  originatingTLS: undefined,
  serverNames: [],
  listener: undefined,
  ...more,
});
export const l7 = (rules: Partial<L7Rules>): { l7: L7Rules } => ({ l7: { ...NOTHING, ...rules } });
export const http = (...methods: string[]): { l7: L7Rules } =>
  l7({ http: methods.map((method) => ({ method, path: '', host: '', headers: undefined, headerMatches: undefined })) });
export const listener = (name: string, priority = 0): Pick<PortRule, 'listener'> => ({
  listener: { envoyConfig: { kind: 'CiliumClusterwideEnvoyConfig', name: 'config' }, name, priority },
});

interface PeerSpec {
  readonly endpoints?: readonly EndpointSelector[];
  readonly others?: readonly EndpointSelector[];
  readonly fqdns?: readonly FQDNSelector[];
  readonly toPorts?: readonly PortRule[];
  readonly requires?: readonly EndpointSelector[];
  readonly authentication?: PeerRule['authentication'];
}
/** `nobody`: a peer list that is present and empty. */
export type PeerRuleSpec = PeerSpec & { readonly nobody?: true };

export interface RuleSpec {
  readonly name?: string;
  readonly subject?: EndpointSelector;
  readonly ingress?: readonly PeerRuleSpec[];
  readonly ingressDeny?: readonly PeerRuleSpec[];
  readonly egress?: readonly PeerRuleSpec[];
  readonly egressDeny?: readonly PeerRuleSpec[];
  readonly defaultDeny?: boolean;
  readonly selectsNodes?: boolean;
}

export const at = (line: number) => ({ file: 'p.yaml', line, column: 3 });

export function rule(spec: RuleSpec): Rule {
  const { name = 'a', defaultDeny = true } = spec;
  const policy = { kind: 'CiliumNetworkPolicy', namespace: 'default', name } as const;
  const peerRules = (list: RuleOrigin['list']): PeerRule[] =>
    (spec[list] ?? []).map((one, ruleIndex) => ({
      origin: { ...policy, specIndex: 0, list, ruleIndex, position: at(10 * (ruleIndex + 1)) },
      peers: one.nobody
        ? undefined
        : { endpoints: one.endpoints ?? [], others: one.others ?? [], fqdns: one.fqdns ?? [] },
      requires: one.requires ?? [],
      toPorts: one.toPorts ?? [],
      authentication: one.authentication,
    }));
  return {
    policy,
    specIndex: 0,
    position: at(1),
    labels: Labels.none,
    subject: spec.subject ?? EndpointSelector.wildcard,
    selectsNodes: spec.selectsNodes ?? false,
    ingress: { allow: peerRules('ingress'), deny: peerRules('ingressDeny'), defaultDeny },
    egress: { allow: peerRules('egress'), deny: peerRules('egressDeny'), defaultDeny },
    description: '',
    log: '',
  };
}

export const SUBJECT = { identity: 1001, labels: pod({ app: 'subject' }) };

export interface Options {
  readonly cache?: SelectorCache;
  readonly subject?: { identity: number; labels: Labels };
  readonly config?: Partial<PolicyConfig>;
  readonly namedPorts?: readonly NamedPort[];
  readonly pods?: readonly (readonly NamedPort[])[];
}

export function resolve(specs: readonly RuleSpec[], options: Options = {}): EndpointPolicy {
  const { cache = new SelectorCache([...RESERVED, ...PODS]), subject = SUBJECT, namedPorts = [], pods = [] } = options;
  const config = { ...DEFAULT_POLICY_CONFIG, ...options.config };
  const rules = specs.map(rule).filter((one) => one.subject.matches(subject.labels));
  const policy = SelectorPolicy.resolve({ config, revision: 1, rules }, subject, cache);
  return policy.distill({ namedPorts, allNamedPorts: NamedPorts.of(pods) });
}

/** Identities of the pods that tests speak of. */
export const A = 1002;
export const B = 1003;
export const PODS: readonly (readonly [number, Labels])[] = [
  [SUBJECT.identity, SUBJECT.labels],
  [A, pod({ app: 'a' })],
  [B, pod({ app: 'b' })],
];

/** What becomes of a packet to TCP port `dport`, in a word. */
export function verdict(
  policy: EndpointPolicy,
  identity: number,
  dport: number,
  more: { egress?: boolean; protocol?: number } = {},
): string {
  return inWords(lookupMapState(policy.mapState, { egress: false, identity, protocol: 6, dport, ...more }));
}

export function inWords(entry: MapStateEntry | undefined): string {
  if (entry === undefined) return 'default deny';
  if (entry.deny) return 'deny';
  const auth = entry.authType === 0 ? '' : ` auth ${entry.authType}${entry.authExplicit ? '' : ' derived'}`;
  return entry.redirect ? `redirect ${entry.parser} ${entry.proxyPortPriority}${auth}` : `allow${auth}`;
}
