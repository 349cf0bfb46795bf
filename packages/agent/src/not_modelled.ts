import type { CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, PolicyObject, PortRule, Rule } from '@ciliate/k8s';
import { NotEmulatedError } from './errors.ts';

type CiliumPolicy = CiliumNetworkPolicy | CiliumClusterwideNetworkPolicy;
/** A field of a policy, and what it asks for. */
type Demand = readonly [path: string, what: string];

/**
 * Refuse, by name, what the policy room understands and the rest of the emulator cannot do yet.
 * @throws NotEmulatedError with the place of the first such field
 */
export function checkModelled(object: PolicyObject): void {
  if (object.kind === 'NetworkPolicy') return;
  for (const [path, what] of specsOf(object).flatMap(([spec, at]) => demandsOf(spec, at)))
    throw new NotEmulatedError(object, path, what);
}

/** Which specs of a policy are about nodes; they are kept, and nothing is enforced by them: the host firewall is off. */
export function nodeSpecs(object: PolicyObject): string[] {
  if (object.kind === 'NetworkPolicy') return [];
  return specsOf(object).flatMap(([{ nodeSelector }, path]) => (nodeSelector === undefined ? [] : [path]));
}

const specsOf = ({ spec, specs }: CiliumPolicy): (readonly [spec: Rule, path: string])[] => [
  ...(spec === undefined ? [] : [[spec, 'spec'] as const]),
  ...(specs ?? []).map((one, index) => [one, `specs[${index}]`] as const),
];

/** Nothing is asked of the node itself, so whatever is said about it can be emulated. */
function demandsOf({ nodeSelector, ingress, egress }: Rule, at: string): Demand[] {
  if (nodeSelector !== undefined) return [];
  const lists = [
    { name: 'ingress', rules: ingress ?? [] },
    { name: 'egress', rules: egress ?? [] },
  ];
  return lists.flatMap(({ name, rules }) =>
    rules.flatMap(({ toPorts }, index) =>
      (toPorts ?? []).flatMap((rule, of) =>
        portDemands(rule, `${at}.${name}[${index}].toPorts[${of}]`, name === 'egress'),
      ),
    ),
  );
}

function portDemands(rule: PortRule, at: string, egress: boolean): Demand[] {
  const { rules: l7 } = rule;
  const http = l7?.http ?? [];
  const found: (Demand | false)[] = [
    rule.listener !== undefined && [`${at}.listener`, 'a listener of a CiliumEnvoyConfig'],
    rule.terminatingTLS !== undefined && [`${at}.terminatingTLS`, 'TLS in the proxy'],
    rule.originatingTLS !== undefined && [`${at}.originatingTLS`, 'TLS in the proxy'],
    Boolean(rule.serverNames?.length) && [`${at}.serverNames`, 'names of TLS servers'],
    Boolean(l7?.kafka?.length) && [`${at}.rules.kafka`, "the proxy's filter for Kafka"],
    Boolean(l7?.l7proto) && [`${at}.rules.l7proto`, `the proxy's filter "${l7?.l7proto}"`],
    egress && http.length > 0 && [`${at}.rules.http`, 'L7 rules for egress'],
  ];
  return found.filter((one) => one !== false);
}
