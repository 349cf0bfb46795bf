import { anything, list } from '../schema/collections.ts';
import { checked, mapped } from '../schema/derived.ts';
import { object, optional, withDefault } from '../schema/object.ts';
import type { Fields, Schema } from '../schema/schema.ts';
import { integerOrString, MAX_INT32, string, wordText } from '../schema/values.ts';
import type { CIDRRule, DirectionRule, FQDNSelector, ICMPField, ServiceSelector } from '../types.ts';
import { emptyText } from './meta.ts';
import { denyPortRule, fqdnSelector, portRule } from './port_rule.ts';
import { labelSelector } from './selector.ts';

type Section = 'ingress' | 'ingressDeny' | 'egress' | 'egressDeny';

/** The API server wants the length of the prefix, the agent takes a bare address for one. */
const cidr = checked(string, (value, fail) => {
  if (!value.includes('/')) fail(`want a CIDR, with the length of its prefix, as in 10.0.0.0/8; found "${value}"`);
});

const cidrRule: Schema<CIDRRule> = object({
  cidr: emptyText,
  cidrGroupRef: emptyText,
  cidrGroupSelector: optional(labelSelector),
  except: optional(list(string)),
});

const serviceSelector: Schema<ServiceSelector> = object({
  k8sServiceSelector: optional(
    object({
      selector: withDefault(labelSelector, () => ({ matchLabels: {}, matchExpressions: [] })),
      namespace: emptyText,
    }),
  ),
  k8sService: optional(object({ serviceName: emptyText, namespace: emptyText })),
});

const icmpField: Schema<ICMPField> = object({
  family: withDefault(wordText(['IPv4', 'IPv6']), () => ''),
  type: withDefault(integerOrString(-MAX_INT32 - 1, MAX_INT32), () => 0),
});
const icmpRule = object({ fields: optional(list(icmpField)) });

const authentication = object({
  mode: withDefault(wordText(['disabled', 'required', 'test-always-fail']), () => ''),
});

const fqdns: Schema<FQDNSelector[]> = list(fqdnSelector);

/** What stands under `ingress`, `ingressDeny`, `egress` or `egressDeny`: peers by names that begin with from or to. */
export function directionRule(section: Section): Schema<DirectionRule> {
  const isDeny = section.endsWith('Deny');
  const isEgress = section.startsWith('egress');
  const peer = (name: string): string => `${isEgress ? 'to' : 'from'}${name}`;
  const fields: Fields = {
    [peer('Endpoints')]: optional(list(labelSelector)),
    [peer('Requires')]: optional(list(labelSelector)),
    [peer('CIDR')]: optional(list(cidr)),
    [peer('CIDRSet')]: optional(list(cidrRule)),
    [peer('Entities')]: optional(list(string)),
    [peer('Groups')]: optional(list(object({ aws: optional(anything) }))),
    [peer('Nodes')]: optional(list(labelSelector)),
    toPorts: optional(list(isDeny ? denyPortRule : portRule)),
    icmps: optional(list(icmpRule)),
    ...(isEgress && { toServices: optional(list(serviceSelector)) }),
    ...(section === 'egress' && { toFQDNs: optional(fqdns) }),
    ...(!isDeny && { authentication: optional(authentication) }),
  };
  return mapped(object(fields) as Schema<Record<string, unknown>>, (value) => {
    const { toServices: services, toFQDNs: fqdns, toPorts, icmps, authentication } = value;
    return {
      endpoints: value[peer('Endpoints')],
      requires: value[peer('Requires')],
      cidr: value[peer('CIDR')],
      cidrSet: value[peer('CIDRSet')],
      entities: value[peer('Entities')],
      groups: value[peer('Groups')],
      nodes: value[peer('Nodes')],
      ...{ services, fqdns, toPorts, icmps, authentication },
    };
  }) as Schema<DirectionRule>;
}
