import { dnsSubdomain } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked, located, mapped } from '../schema/derived.ts';
import { ignored, object, optional, refused, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { integerOrString, string, word } from '../schema/values.ts';
import type { CiliumNetworkPolicy, IngressRule, PortProtocol, PortRule, PortRuleHTTP, Rule } from '../types.ts';
import { quoted } from '../words.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { MAX_PORT } from './pod.ts';
import { endpointSelector } from './selector.ts';

// What the agent accepts is accepted, which is a little more than the CRD allows (protocols in small letters,
// world-ipv4). Sources: pkg/policy/api/{rule,ingress,l4,l7,http,entity}.go and rule_validation.go.

const ENTITIES = [
  ...['all', 'world', 'cluster', 'host', 'remote-node', 'kube-apiserver', 'init', 'health', 'unmanaged', 'ingress'],
  ...['none', 'world-ipv4', 'world-ipv6'],
];

const inCapitals = mapped(string, (value) => value.toUpperCase());
const protocol = word(['TCP', 'UDP', 'SCTP', 'ANY'], {}, inCapitals);

/** A string in Cilium; a number means what it says. */
const portText = mapped(
  checked(integerOrString(0, MAX_PORT), (value, fail) => {
    const wrong = typeof value === 'string' ? portProblem(value) : undefined;
    if (wrong !== undefined) fail(wrong);
  }),
  String,
);

function portProblem(text: string): string | undefined {
  // Letters, digits and '-', at least one letter: a service name. So `0x50` is a name, and so is `80a`.
  if (text.length <= 15 && /^[-A-Za-z0-9]*[A-Za-z][-A-Za-z0-9]*$/.test(text)) {
    return `${quoted(text)} is a port name, and named ports are not modelled yet`;
  }
  // A leading zero makes the number octal, as in Go.
  const isNumber = /^(0[0-7]*|[1-9]\d*)$/.test(text);
  const number = Number.parseInt(text, text.startsWith('0') ? 8 : 10);
  return isNumber && number <= MAX_PORT ? undefined : `want a port from 0 to ${MAX_PORT}, found ${quoted(text)}`;
}

const portProtocol: Schema<PortProtocol> = located(
  object({
    port: required(portText),
    protocol: withDefault(protocol, () => 'ANY' as const),
    endPort: refused('port ranges are'),
  }),
);

const httpRule: Schema<PortRuleHTTP> = located(
  object({
    path: optional(string),
    method: optional(string),
    host: optional(string),
    headers: refused('header matches are'),
    headerMatches: refused('header matches are'),
  }),
);

const l7Rules = object({
  http: optional(list(httpRule)),
  dns: refused('DNS rules are'),
  kafka: refused('Kafka rules are'),
  l7: refused('rules of other L7 protocols are'),
  l7proto: refused('rules of other L7 protocols are'),
});

const portRule: Schema<PortRule> = located(
  object({
    // Absent is as good as empty: such a rule opens no port at all.
    ports: withDefault(list(portProtocol), () => []),
    rules: optional(l7Rules),
    listener: refused('custom listeners are'),
    originatingTLS: refused('TLS contexts are'),
    serverNames: refused('server names (SNI) are'),
    terminatingTLS: refused('TLS contexts are'),
  }),
);

const ingressRule: Schema<IngressRule> = located(
  object({
    fromEndpoints: optional(list(located(endpointSelector))),
    fromEntities: optional(list(word(ENTITIES))),
    toPorts: optional(list(portRule)),
    authentication: refused('mutual authentication is'),
    fromCIDR: refused('address blocks are'),
    fromCIDRSet: refused('address blocks are'),
    fromGroups: refused('groups of a cloud provider are'),
    fromNodes: refused('selectors of nodes are'),
    fromRequires: refused('fromRequires is'),
    icmps: refused('ICMP rules are'),
  }),
);

const rule: Schema<Rule> = located(
  object({
    endpointSelector: required(endpointSelector),
    ingress: optional(list(ingressRule)),
    description: optional(string),
    egress: refused('egress rules are'),
    egressDeny: refused('egress rules are'),
    enableDefaultDeny: refused('policies without a default deny are'),
    ingressDeny: refused('deny rules are'),
    labels: refused('labels of rules are'),
    log: refused('log values of rules are'),
    nodeSelector: refused('host policies are'),
  }),
);

/** cilium.io/v2 CiliumNetworkPolicy, ingress only. */
export const ciliumNetworkPolicy: Schema<Pick<CiliumNetworkPolicy, 'metadata' | 'specs'>> = mapped(
  checked(
    object({
      ...TYPE_FIELDS,
      metadata: required(namespacedMeta(dnsSubdomain)),
      spec: optional(rule),
      specs: optional(list(rule)),
      status: ignored,
    }),
    ({ spec, specs = [] }, fail) => {
      if (spec === undefined && specs.length === 0) fail('missing required field "spec" (or "specs")');
    },
  ),
  ({ metadata, spec, specs = [] }) => ({ metadata, specs: spec === undefined ? specs : [spec, ...specs] }),
);
