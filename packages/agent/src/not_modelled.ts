import type { CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, PolicyObject, PortRule, Rule } from '@ciliate/k8s';
import type { PolicyConfig } from '@ciliate/policy';
import { NotEmulatedError } from './errors.ts';

type CiliumPolicy = CiliumNetworkPolicy | CiliumClusterwideNetworkPolicy;
/** A field of a policy, and what it asks for. */
type Demand = readonly [path: string, what: string];

/**
 * Refuse, by name, what the policy room understands and the rest of the emulator cannot do yet. What is ignored can be
 * emulated, whatever it says: without the host firewall, rules about nodes.
 * @throws NotEmulatedError with the place of the first such field
 */
export function checkModelled(object: PolicyObject, { hostFirewall }: Pick<PolicyConfig, 'hostFirewall'>): void {
  if (object.kind === 'NetworkPolicy') return;
  const specs = specsOf(object).filter(([{ nodeSelector }]) => hostFirewall || nodeSelector === undefined);
  for (const [path, what] of specs.flatMap(([spec, at]) => demandsOf(spec, at)))
    throw new NotEmulatedError(object, path, what);
}

/** Said of a spec that is about nodes, for as long as nobody switches the host firewall on. */
export const NODES_IGNORED = 'selects nodes, but the host firewall is off (--enable-host-firewall): it is ignored';

/** Which specs of a policy are about nodes. */
export function nodeSpecs(object: PolicyObject): string[] {
  if (object.kind === 'NetworkPolicy') return [];
  return specsOf(object).flatMap(([{ nodeSelector }, path]) => (nodeSelector === undefined ? [] : [path]));
}

const specsOf = ({ spec, specs }: CiliumPolicy): (readonly [spec: Rule, path: string])[] => [
  ...(spec === undefined ? [] : [[spec, 'spec'] as const]),
  ...(specs ?? []).map((one, index) => [one, `specs[${index}]`] as const),
];

function demandsOf({ nodeSelector, ingress, egress }: Rule, at: string): Demand[] {
  const lists = [
    { name: 'ingress', rules: ingress ?? [] },
    { name: 'egress', rules: egress ?? [] },
  ];
  return lists.flatMap(({ name, rules }) =>
    rules.flatMap(({ toPorts }, index) =>
      (toPorts ?? []).flatMap((rule, of) =>
        portDemands(rule, `${at}.${name}[${index}].toPorts[${of}]`, nodeSelector !== undefined),
      ),
    ),
  );
}

function portDemands(rule: PortRule, at: string, ofNode: boolean): Demand[] {
  const { rules: l7 } = rule;
  const found: (Demand | false)[] = [
    rule.listener !== undefined && [`${at}.listener`, 'a listener of a CiliumEnvoyConfig'],
    ofNode && Boolean(l7?.dns?.length) && [`${at}.rules.dns`, 'the DNS proxy for the node itself'],
    Boolean(l7?.l7proto) && [`${at}.rules.l7proto`, `the proxy's filter "${l7?.l7proto}"`],
  ];
  return found.filter((one) => one !== false);
}
