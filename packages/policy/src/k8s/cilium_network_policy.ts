import type { CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, DirectionRule, Rule as K8sRule } from '@ciliate/k8s';
import { type EndpointSelector, POD_NAMESPACE_LABEL } from '@ciliate/labels';
import { parseCidrRule, parseCidrs } from '../api/cidr.ts';
import { entitySelectors, reservedSelector } from '../api/entity.ts';
import {
  checkPeers,
  parseAuthentication,
  parseToPorts,
  peerListName,
  RULE_LISTS,
  type RuleList,
} from '../api/peer_rule.ts';
import { Place } from '../api/place.ts';
import type { DirectionRules, PeerRule, PolicyRef, Rule } from '../api/rule.ts';
import { parseSelector } from '../api/selector.ts';
import { NotModelledError } from '../errors.ts';
import { defaultCluster, type TranslateContext } from './context.ts';
import { ruleLabels } from './derived_labels.ts';
import { type PeerScope, peerSelector, requiredSelector, scoped } from './peer_selector.ts';
import { resolveServices } from './services.ts';

type CiliumPolicy = CiliumNetworkPolicy | CiliumClusterwideNetworkPolicy;

/** What is known while one spec is translated. */
interface Translation {
  readonly policy: PolicyRef;
  readonly specIndex: number;
  readonly spec: K8sRule;
  readonly place: Place;
  readonly scope: PeerScope;
  readonly context: TranslateContext;
}

/**
 * Check and translate a CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy, one rule per spec.
 * @throws PolicyError
 * Source: pkg/k8s/apis/cilium.io/v2/cnp_types.go, ccnp_types.go; pkg/k8s/apis/cilium.io/utils/utils.go.
 */
export function parseCiliumNetworkPolicy(object: CiliumPolicy, context: TranslateContext): Rule[] {
  const { kind, metadata, spec, specs } = object;
  const policy: PolicyRef = { kind, namespace: metadata.namespace, name: metadata.name };
  const place = Place.of(object, 'spec');
  if (spec === undefined && specs === undefined) place.refuse(`a ${kind} must have a spec or specs`);
  const all = [
    ...(spec === undefined ? [] : [{ spec, place }]),
    ...(specs ?? []).map((one, index) => ({ spec: one, place: Place.of(object, 'specs').at(index) })),
  ];
  const rules = all.map((one, specIndex) => parseSpec({ ...one, specIndex, policy, context }));
  // As in Cilium, only `spec` is looked at.
  if (kind === 'CiliumNetworkPolicy' && spec?.nodeSelector !== undefined) {
    const why = 'nodes belong to no namespace: write a CiliumClusterwideNetworkPolicy';
    place.at('nodeSelector').refuse(`a CiliumNetworkPolicy cannot select nodes: ${why}`);
  }
  for (const one of all) refuseGroups(one.spec, one.place);
  return rules;
}

/** The peers of a cloud provider are looked up by Cilium's operator, which there is none of. */
function refuseGroups(spec: K8sRule, place: Place): void {
  for (const list of RULE_LISTS) {
    for (const [index, { groups }] of (spec[list] ?? []).entries()) {
      if (!groups?.length) continue;
      const at = place.at(list).at(index).at(peerListName('groups', list));
      throw new NotModelledError(at.position, at.path, 'groups of a cloud provider are not supported: write prefixes');
    }
  }
}

function parseSpec(source: Omit<Translation, 'scope'>): Rule {
  const { policy, specIndex, spec, place, context } = source;
  if (!RULE_LISTS.some((list) => spec[list]?.length)) {
    place.refuse(`a rule must have an entry in ${RULE_LISTS.slice(0, -1).join(', ')} or ${RULE_LISTS.at(-1)}`);
  }
  const { subject, selectsNodes } = parseSubject(spec, policy.namespace, place);
  const subjectIsInit = spec.endpointSelector !== undefined && subject.hasKey('reserved.init');
  const scope = { namespace: policy.namespace, cluster: defaultCluster(context.config), subjectIsInit };
  const translation = { ...source, scope };
  return {
    policy,
    specIndex,
    position: place.position,
    labels: ruleLabels(policy, spec.labels),
    subject,
    selectsNodes,
    ingress: parseDirection(translation, 'ingress'),
    egress: parseDirection(translation, 'egress'),
    description: spec.description,
    log: spec.log?.value ?? '',
  };
}

/** The subject is always in the policy's own namespace: another one, if `k8s:` asks for it, is silently replaced. */
function parseSubject(
  { endpointSelector, nodeSelector }: K8sRule,
  namespace: string,
  place: Place,
): { subject: EndpointSelector; selectsNodes: boolean } {
  if (endpointSelector !== undefined) {
    if (nodeSelector !== undefined) place.refuse('a rule cannot have both endpointSelector and nodeSelector');
    const subject = parseSelector(endpointSelector, place.at('endpointSelector'));
    const scopedSubject = namespace === '' ? subject : subject.withMatch(`k8s.${POD_NAMESPACE_LABEL}`, namespace);
    return { subject: scopedSubject, selectsNodes: false };
  }
  if (nodeSelector === undefined) return place.refuse('a rule must have an endpointSelector or a nodeSelector');
  return { subject: parseSelector(nodeSelector, place.at('nodeSelector')), selectsNodes: true };
}

function parseDirection(translation: Translation, direction: 'ingress' | 'egress'): DirectionRules {
  const { spec, context } = translation;
  const allow = parseList(translation, direction);
  const deny = parseList(translation, `${direction}Deny`);
  const asked = spec.enableDefaultDeny[direction] ?? allow.length + deny.length > 0;
  return { allow, deny, defaultDeny: !context.config.enableNonDefaultDenyPolicies || asked };
}

function parseList(translation: Translation, list: RuleList): PeerRule[] {
  const { policy, specIndex, spec, place, scope } = translation;
  return (spec[list] ?? []).map((rule, ruleIndex) => {
    const at = place.at(list).at(ruleIndex);
    checkPeers(rule, list, at);
    const requires = at.at(peerListName('requires', list));
    return {
      origin: { ...policy, specIndex, list, ruleIndex, position: at.position },
      peers: parsePeers(rule, list, at, translation),
      requires: (rule.requires ?? []).map((one, index) =>
        requiredSelector(parseSelector(one, requires.at(index)), scope),
      ),
      toPorts: parseToPorts(rule, list, at, spec.nodeSelector !== undefined),
      authentication: parseAuthentication(rule, list),
    };
  });
}

function parsePeers(
  rule: DirectionRule,
  list: RuleList,
  place: Place,
  { scope, context: { config, services } }: Translation,
): PeerRule['peers'] {
  // Cilium resolves services only for entries that allow: to one that denies they are no peers at all.
  const served = resolveServices(list === 'egress' ? (rule.services ?? []) : [], services);
  const fqdns = list === 'egress' ? (rule.fqdns ?? []) : [];
  const at = (field: 'endpoints' | 'cidr' | 'cidrSet'): Place => place.at(peerListName(field, list));
  const cidrSet = [
    ...(rule.cidrSet ?? []).flatMap((one, index) => parseCidrRule(one, at('cidrSet').at(index), config)),
    ...served.addresses.flatMap((address) => parseCidrs([address], at('cidrSet'), config)),
  ];
  const endpoints = [
    ...(rule.endpoints ?? []).map((one, index) => peerSelector(one, scope, at('endpoints').at(index))),
    ...served.endpoints.map((one) => scoped(one, scope)),
  ];
  const others = [
    ...(rule.entities ?? []).flatMap((entity) => entitySelectors(entity, config.clusterName)),
    ...parseCidrs(rule.cidr ?? [], at('cidr'), config),
    ...cidrSet,
  ];
  if (rule.endpoints?.length === 0 && endpoints.length === 0) return undefined;
  if (rule.nodes?.length === 0) return undefined;
  const nobody = rule.entities?.length === 0 || rule.cidr?.length === 0 || (rule.cidrSet && cidrSet.length === 0);
  // Names make up for an empty list of these, but not for one of endpoints.
  if (nobody && fqdns.length === 0) return undefined;
  return { endpoints, others: fqdns.length === 0 ? others : [...others, reservedSelector('none')], fqdns };
}
