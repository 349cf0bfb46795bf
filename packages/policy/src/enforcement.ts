import { EndpointSelector, type Labels } from '@ciliate/labels';
import type { DirectionRules, Rule, RuleOrigin } from './api/rule.ts';
import type { PolicyConfig } from './config.ts';

/** How one direction of a subject's policy is computed. */
export interface DirectionEnforcement {
  /** Is what no entry matches dropped, and are rules looked at? Otherwise everything is allowed. */
  readonly enforced: boolean;
  /** Does a rule (or the configuration) ask for that? If not, everything is allowed unless a rule denies it. */
  readonly defaultDeny: boolean;
}

const NOT_ENFORCED: DirectionEnforcement = { enforced: false, defaultDeny: false };
const ALWAYS: DirectionEnforcement = { enforced: true, defaultDeny: true };

/**
 * In mode `default` a direction is enforced as soon as a rule about it selects the endpoint.
 * Cilium looks for the keys `host` and `init` of any source, so a pod that carries such a label is taken for the node
 * (never enforced without the host firewall) or for an endpoint without labels yet (always enforced).
 * Source: pkg/policy/repository.go, computePolicyEnforcementAndRules.
 */
export function enforcementOf(
  labels: Labels,
  rules: readonly Rule[],
  { enforcement: mode, hostFirewall }: Pick<PolicyConfig, 'enforcement' | 'hostFirewall'>,
): { ingress: DirectionEnforcement; egress: DirectionEnforcement } {
  if (mode === 'never' || (!hostFirewall && labels.has('any', 'host')))
    return { ingress: NOT_ENFORCED, egress: NOT_ENFORCED };
  if (mode === 'always' || labels.has('any', 'init')) return { ingress: ALWAYS, egress: ALWAYS };
  return { ingress: byRules(rules.map((rule) => rule.ingress)), egress: byRules(rules.map((rule) => rule.egress)) };
}

function byRules(sides: readonly DirectionRules[]): DirectionEnforcement {
  const speaking = sides.filter(speaks);
  return { enforced: speaking.length > 0, defaultDeny: speaking.some((side) => side.defaultDeny) };
}

/** Does a rule say anything about a direction? */
export const speaks = ({ allow, deny }: DirectionRules): boolean => allow.length + deny.length > 0;

/** Stands beside rules of which none asks for default deny: allows everything that they do not deny. */
export const allowAnySide = (origin: RuleOrigin): DirectionRules => ({
  allow: [
    {
      origin,
      peers: { endpoints: [], others: [EndpointSelector.wildcard], fqdns: [] },
      requires: [],
      toPorts: [],
      authentication: undefined,
    },
  ],
  deny: [],
  defaultDeny: true,
});
