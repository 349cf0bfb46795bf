import { ciliumKey, EndpointSelector, type SelectorExpression } from '@ciliate/labels';
import type { DirectionRules, PeerRule, PortProtocol, PortRule } from './api/rule.ts';
import { PolicyConflictError } from './conflict.ts';
import { HOST_IDENTITY } from './identities.ts';
import { type L4DirectionPolicy, L4Filter } from './l4.ts';
import { type PerSelectorPolicy, perSelectorPolicyOf } from './per_selector_policy.ts';
import type { FilterProtocol } from './protocols.ts';
import type { CachedSelector } from './selectorcache.ts';

/** What resolving one direction for one subject needs besides the rules. */
export interface ResolveContext {
  readonly egress: boolean;
  /** Enters a selector, once per policy however often it is asked. */
  readonly selectorOf: (selector: EndpointSelector) => CachedSelector;
  readonly fqdnSelectorOf: (fqdn: NonNullable<PeerRule['peers']>['fqdns'][number]) => CachedSelector;
  /** Of the subject; '' if it has none. */
  readonly namespace: string;
  readonly defaultDeny: boolean;
  /** Does the node get past L7 rules? Only asked for ingress. */
  readonly allowLocalhost: boolean;
}

const HOST_SELECTOR = EndpointSelector.ofLabels({ source: 'reserved', key: 'host', value: '' });
const ANY_PROTOCOLS: readonly FilterProtocol[] = ['TCP', 'UDP', 'SCTP'];
const EVERY_PORT: PortProtocol = { port: 0, endPort: 0, protocol: 'ANY' };

/**
 * Merge what the rules of one subject say about one direction.
 * @param sides of each rule, those of the context's direction
 * @throws PolicyConflictError
 * Source: pkg/policy/rules.go and rule.go, resolveIngressPolicy and resolveEgressPolicy.
 */
export function resolveDirection(sides: readonly DirectionRules[], context: ResolveContext): L4DirectionPolicy {
  const filters = new Map<string, L4Filter>();
  const requirements = { allow: requirementsOf(sides, 'allow'), deny: requirementsOf(sides, 'deny') };
  for (const side of sides) {
    for (const verdict of ['allow', 'deny'] as const) {
      for (const rule of side[verdict]) {
        try {
          mergePeerRule({ rule, deny: verdict === 'deny', requirements: requirements[verdict], context, filters });
        } catch (error) {
          throw error instanceof PolicyConflictError ? error.at(rule.origin) : error;
        }
      }
    }
  }
  const list = [...filters.values()];
  return { filters: list, features: list.reduce((features, filter) => features | filter.features(), 0) };
}

/** What the peers that rules name by their labels must be besides, because some rule of the subject requires it. */
function requirementsOf(sides: readonly DirectionRules[], verdict: 'allow' | 'deny'): readonly SelectorExpression[] {
  return sides.flatMap((side) =>
    side[verdict].flatMap(({ requires }) =>
      requires.flatMap(({ matchLabels, matchExpressions }) => [
        ...matchExpressions,
        ...[...matchLabels].map(([key, value]) => ({ key, operator: 'In', values: [value] })),
      ]),
    ),
  );
}

interface Merge {
  readonly rule: PeerRule;
  readonly deny: boolean;
  readonly requirements: readonly SelectorExpression[];
  readonly context: ResolveContext;
  readonly filters: Map<string, L4Filter>;
}

function mergePeerRule(merge: Merge): void {
  const { peers, toPorts } = merge.rule;
  if (peers === undefined) return;
  const named = peers.endpoints.length + peers.others.length + peers.fqdns.length > 0;
  // Without ports the peers may do everything; without ports and peers the rule allows nothing.
  if (toPorts.length === 0 && !named) return;
  const selectors = selectorsOf(peers, merge);
  if (toPorts.length === 0) mergePort(merge, selectors, EVERY_PORT, 'ANY', undefined);
  for (const portRule of toPorts) {
    for (const port of portRule.ports) {
      // ANY beside a port means the protocols that have ports, so never ICMP.
      const protocols = port.protocol === 'ANY' ? ANY_PROTOCOLS : [port.protocol];
      for (const protocol of protocols) mergePort(merge, selectors, port, protocol, portRule);
    }
  }
}

/** The selectors of the peers, none twice; everybody, if no peers are named or one of them is everybody. */
function selectorsOf(
  { endpoints, others, fqdns }: NonNullable<PeerRule['peers']>,
  { requirements, context }: Merge,
): ReadonlySet<CachedSelector> {
  const required = requirements.length === 0 ? endpoints : endpoints.map((one) => withExpressions(one, requirements));
  const found = new Set<CachedSelector>();
  for (const list of [required, others]) {
    for (const selector of list) {
      if (selector.isWildcard) return new Set([context.selectorOf(EndpointSelector.wildcard)]);
      found.add(context.selectorOf(selector));
    }
  }
  for (const fqdn of fqdns) found.add(context.fqdnSelectorOf(fqdn));
  return found.size === 0 ? new Set([context.selectorOf(EndpointSelector.wildcard)]) : found;
}

/** A selector that asks for these too; keys in the form in which selectors keep them. */
function withExpressions(selector: EndpointSelector, expressions: readonly SelectorExpression[]): EndpointSelector {
  return EndpointSelector.parse({
    matchLabels: Object.fromEntries([...selector.matchLabels].map(([key, value]) => [ciliumKey(key), value])),
    matchExpressions: [...selector.matchExpressions, ...expressions].map((one) => ({
      ...one,
      key: ciliumKey(one.key),
    })),
  });
}

/** Source: pkg/policy/l4.go, createL4Filter and addL4Filter. */
function mergePort(
  { rule, deny, context, filters }: Merge,
  selectors: ReadonlySet<CachedSelector>,
  port: PortProtocol,
  protocol: FilterProtocol,
  portRule: PortRule | undefined,
): void {
  const { egress, namespace, defaultDeny } = context;
  const authentication = deny ? undefined : rule.authentication;
  const policy = perSelectorPolicyOf({ portRule, protocol, deny, authentication, namespace, defaultDeny });
  // Cilium keeps one filter per port name, whatever range the name begins.
  const id = typeof port.port === 'string' ? `${port.port}/${protocol}` : `${port.port}-${port.endPort}/${protocol}`;
  let filter = filters.get(id);
  if (filter === undefined) {
    filter = new L4Filter(egress, protocol, port);
    filters.set(id, filter);
  }
  for (const selector of selectors) filter.add(selector, policy, rule.origin);
  if (!egress && context.allowLocalhost && policy !== null) wildcardHost(filter, selectors, policy, rule, context);
}

/**
 * The node may always reach its endpoints: where L7 rules select it too, the proxy lets it do everything. Without effect
 * if the rule names the host's selector itself.
 */
function wildcardHost(
  filter: L4Filter,
  selectors: ReadonlySet<CachedSelector>,
  policy: PerSelectorPolicy,
  rule: PeerRule,
  context: ResolveContext,
): void {
  if (policy.parser === '' || ![...selectors].some((selector) => selector.selects(HOST_IDENTITY))) return;
  const host = context.selectorOf(HOST_SELECTOR);
  if (!selectors.has(host)) filter.add(host, null, rule.origin);
}
