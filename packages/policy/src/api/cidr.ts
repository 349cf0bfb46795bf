import { type CIDRRule, didYouMean } from '@ciliate/k8s';
import {
  containsAddress,
  EndpointSelector,
  formatAddress,
  formatPrefix,
  type Label,
  masked,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '@ciliate/labels';
import { reservedSelector } from './entity.ts';
import type { Place } from './place.ts';
import type { Rule } from './rule.ts';
import { parseSelector, withExpressions } from './selector.ts';

/** Followed by `/` and the name of a CiliumCIDRGroup: a label of its prefixes, source `cidrgroup`. */
const CIDR_GROUP_NAME = 'io.cilium.policy.cidrgroupname';
const NOBODY = reservedSelector('none');

/** What the world is called depends on the families that are on. */
export interface Families {
  readonly enableIPv4: boolean;
  readonly enableIPv6: boolean;
}

/**
 * `fromCIDR` and `toCIDR`: a selector for each, and one for the world beside `0.0.0.0/0` and `::/0`, because no
 * identity carries a `cidr:` label of length 0.
 * @throws PolicyError
 */
export function parseCidrs(cidrs: readonly string[], place: Place, families: Families): EndpointSelector[] {
  for (const [index, cidr] of cidrs.entries()) {
    if (cidr === '') place.at(index).refuse('a prefix or an address must be given');
    if (parsePrefix(cidr) ?? parseAddress(cidr)) continue;
    place.at(index).refuse(`${JSON.stringify(cidr)} is neither a prefix like 10.0.0.0/8 or fd00::/8 nor an address`);
  }
  const selectors = cidrs.flatMap((cidr) => {
    const label = cidrLabel(cidr);
    return label === undefined ? [] : [EndpointSelector.ofLabels(label)];
  });
  return [...selectors, ...worldsOf(cidrs.includes('0.0.0.0/0'), cidrs.includes('::/0'), families)];
}

function worldsOf(ipv4: boolean, ipv6: boolean, { enableIPv4, enableIPv6 }: Families): EndpointSelector[] {
  if (!enableIPv4 || !enableIPv6) {
    return (enableIPv4 && ipv4) || (enableIPv6 && ipv6) ? [reservedSelector('world')] : [];
  }
  return [
    ...(ipv4 && ipv6 ? [reservedSelector('world')] : []),
    ...(ipv4 ? [reservedSelector('world-ipv4')] : []),
    ...(ipv6 ? [reservedSelector('world-ipv6')] : []),
  ];
}

/**
 * An entry of `fromCIDRSet` or `toCIDRSet`, or an `ipBlock`. An exception is a requirement that the label of its prefix
 * is absent: addresses in it have an identity of their own, because the exception has one.
 * @throws PolicyError
 * Source: pkg/policy/api/cidr.go and rule_validation.go.
 */
export function parseCidrRule(rule: CIDRRule, place: Place, families: Families): EndpointSelector[] {
  const { cidr, cidrGroupRef, cidrGroupSelector, except = [] } = rule;
  checkOneForm(rule, place);
  const excepted = except.map((text) => ({ label: cidrLabel(text), operator: 'DoesNotExist' }));
  if (cidr !== '') {
    checkCidr(cidr, except, place);
    const label = cidrLabel(cidr);
    const world = cidr.endsWith('/0') ? worldOf(cidr, families) : undefined;
    return [label, world].flatMap((one) => (one === undefined ? [] : [selectorOf(one)]));
  }
  if (cidrGroupRef !== '') {
    return [selectorOf({ source: 'cidrgroup', key: `${CIDR_GROUP_NAME}/${cidrGroupRef}`, value: '' })];
  }
  if (cidrGroupSelector === undefined) return [];
  const group = parseSelector(cidrGroupSelector, place.at('cidrGroupSelector'), (one) =>
    EndpointSelector.ofSource('cidrgroup', one),
  );
  return [requiring(group, excepted)];

  function selectorOf(label: Label): EndpointSelector {
    return requiring(EndpointSelector.wildcard, [{ label, operator: 'Exists' }, ...excepted]);
  }
}

/** A label that is undefined stands for an exception that is no prefix: Cilium then has a selector of nobody. */
function requiring(
  selector: EndpointSelector,
  requirements: readonly { label: Label | undefined; operator: string }[],
): EndpointSelector {
  const expressions = requirements.flatMap(({ label, operator }) =>
    label === undefined ? [] : [{ key: `${label.source}.${label.key}`, operator, values: [] }],
  );
  return expressions.length < requirements.length ? NOBODY : withExpressions(selector, ...expressions);
}

function checkOneForm({ cidr, cidrGroupRef, cidrGroupSelector }: CIDRRule, place: Place): void {
  const forms = Number(cidr !== '') + Number(cidrGroupRef !== '') + Number(cidrGroupSelector !== undefined);
  if (forms === 0) place.refuse('one of cidr, cidrGroupRef and cidrGroupSelector must be given');
  if (forms > 1) place.refuse('only one of cidr, cidrGroupRef and cidrGroupSelector may be given');
}

/** Exceptions are not looked at beside a group. Of an exception, only the address must lie in the prefix. */
function checkCidr(cidr: string, except: readonly string[], place: Place): void {
  const prefix = parsePrefix(cidr) ?? refusePrefix(cidr, place.at('cidr'));
  for (const [index, text] of except.entries()) {
    const at = place.at('except').at(index);
    const { address } = parsePrefix(text) ?? refusePrefix(text, at);
    if (!containsAddress(prefix, address)) at.refuse(`${text} does not lie in ${cidr}`);
  }
}

function refusePrefix(text: string, place: Place): never {
  const address = parseAddress(text);
  const meant = address === undefined || address.zone !== '' ? '' : didYouMean(`${text}/${address.bits}`);
  return place.refuse(`${JSON.stringify(text)} is not a prefix like 10.0.0.0/8 or fd00::/8${meant}`);
}

function worldOf(cidr: string, { enableIPv4, enableIPv6 }: Families): Label {
  const family = cidr.includes(':') ? 'world-ipv6' : 'world-ipv4';
  return { source: 'reserved', key: enableIPv4 && enableIPv6 ? family : 'world', value: '' };
}

/**
 * The label of a prefix, or of an address, which stays as it is written. `-` stands for `:`, with `0` where a key would
 * begin or end with it. Source: pkg/labels/cidr.go, IPStringToLabel.
 */
export function cidrLabel(text: string): Label | undefined {
  const prefix = parsePrefix(text);
  const address = prefix === undefined ? parseAddress(text) : undefined;
  if (prefix === undefined && (address === undefined || text.includes('/'))) return undefined;
  const shown = prefix === undefined ? text : formatAddress(masked(prefix).address);
  const key = shown.replaceAll(':', '-').replace(/^-/, '0-').replace(/-$/, '-0');
  return { source: 'cidr', key: `${key}/${prefix?.length ?? address?.bits}`, value: '' };
}

/**
 * Every prefix that rules name as a peer or an exception, each once, as canonical text without the bits behind its
 * length: IPv4 before IPv6, then by address, then by length. Source: pkg/policy/cidr.go, GetCIDRPrefixes.
 */
export function prefixesOf(rules: Iterable<Rule>): string[] {
  const found = new Map<string, Prefix>();
  for (const { ingress, egress } of rules) {
    for (const { peers } of [...ingress.allow, ...ingress.deny, ...egress.allow, ...egress.deny]) {
      for (const selector of peers?.others ?? []) {
        for (const key of keysOf(selector)) {
          const prefix = key.startsWith('cidr.') ? parsePrefix(key.slice(5).replaceAll('-', ':')) : undefined;
          if (prefix !== undefined) found.set(formatPrefix(masked(prefix)), masked(prefix));
        }
      }
    }
  }
  return [...found].sort(([, a], [, b]) => comparePrefixes(a, b)).map(([text]) => text);
}

function* keysOf({ matchLabels, matchExpressions }: EndpointSelector): Iterable<string> {
  yield* matchLabels.keys();
  for (const { key } of matchExpressions) yield key;
}

function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.address.bits !== b.address.bits) return a.address.bits - b.address.bits;
  if (a.address.value !== b.address.value) return a.address.value < b.address.value ? -1 : 1;
  return a.length - b.length;
}
