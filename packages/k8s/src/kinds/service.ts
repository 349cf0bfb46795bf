import { cidr, ip, isIpv6, labelKey, labelValue, serviceName } from '../formats.ts';
import { list, stringMap } from '../schema/collections.ts';
import { checked, type Fail, mapped } from '../schema/derived.ts';
import { ignored, ignoredFields, object, optional, refused, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { boolean, integer, string, text, word } from '../schema/values.ts';
import type { IPFamily, Service, ServicePort } from '../types.ts';
import { didYouMean, nearestWord, oneOf, quoted } from '../words.ts';
import { type Annotations, namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { checkPorts, servicePort } from './service_port.ts';

const HEADLESS = 'None';
const DEFAULT_AFFINITY_SECONDS = 10_800;
const MAX_AFFINITY_SECONDS = 86_400;
const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const;
const TRAFFIC_POLICIES = ['Cluster', 'Local'] as const;
const AFFINITIES = ['None', 'ClientIP'] as const;
const FAMILIES = ['IPv4', 'IPv6'] as const;

/** The agent takes a value that it does not know for none, without a word. */
const oneWord =
  (words: readonly string[]) =>
  (value: string): string | undefined =>
    words.includes(value)
      ? undefined
      : `unknown value ${quoted(value)}, want ${oneOf(words)}${didYouMean(nearestWord(value, words))}`;
const ANNOTATIONS: Annotations = {
  'service.cilium.io/lb-algorithm': oneWord(['random', 'maglev']),
  'service.cilium.io/src-ranges-policy': (value) => oneWord(['allow', 'deny'])(value.toLowerCase()),
  'service.cilium.io/type': oneWord(TYPES),
};

const clusterIP = text((value) => (value === HEADLESS ? undefined : ip(value)));
const addresses = withDefault(list(text(ip)), () => []);

const selector = mapped(
  stringMap((key, value) => labelKey(key) ?? labelValue(value)),
  (value) => (Object.keys(value).length === 0 ? undefined : value),
);

const affinityConfig = object({
  clientIP: optional(object({ timeoutSeconds: optional(integer(1, MAX_AFFINITY_SECONDS)) })),
});

const specFields = object({
  type: withDefault(word(TYPES, { ExternalName: 'services of type ExternalName are' }), () => 'ClusterIP' as const),
  clusterIP: required(clusterIP, 'no API server gives services an address here'),
  clusterIPs: optional(list(clusterIP)),
  ipFamilies: optional(list(word(FAMILIES))),
  selector: optional(selector),
  ports: withDefault(checked(list(servicePort), checkPorts), () => []),
  externalIPs: addresses,
  externalTrafficPolicy: optional(word(TRAFFIC_POLICIES)),
  internalTrafficPolicy: withDefault(word(TRAFFIC_POLICIES), () => 'Cluster' as const),
  sessionAffinity: withDefault(word(AFFINITIES), () => 'None' as const),
  sessionAffinityConfig: optional(affinityConfig),
  loadBalancerSourceRanges: withDefault(list(text(cidr)), () => []),
  publishNotReadyAddresses: optional(
    checked(boolean, (value, fail) => {
      if (value) fail('pods that are not ready are not modelled yet');
    }),
  ),
  ...ignoredFields('allocateLoadBalancerNodePorts ipFamilyPolicy'), // ports and families are written down
  ...ignoredFields('loadBalancerClass loadBalancerIP'), // what a load balancer gives is in the status
  healthCheckNodePort: ignored, // for the load balancer's own question, which no packet here asks
  externalName: refused('external names are'),
  trafficDistribution: refused('a preference among backends is'),
});
type Spec = typeof specFields extends Schema<infer T> ? T : never;

/** What the API server refuses of fields that each look right. */
function checkSpec(spec: Spec, fail: Fail): void {
  const { type, clusterIP, clusterIPs = [clusterIP], ipFamilies, ports } = spec;
  const isHeadless = clusterIP === HEADLESS;
  if (isHeadless && type !== 'ClusterIP') fail(`a service of type ${type} cannot be headless`, { at: ['clusterIP'] });
  if (!isHeadless && ports.length === 0) fail('missing required field "ports"');
  if (clusterIPs[0] !== clusterIP) fail(`want clusterIP (${clusterIP}) first`, { at: ['clusterIPs'] });
  const families = clusterIPs.map(familyOf);
  if (new Set(families).size < families.length || (isHeadless && clusterIPs.length > 1))
    fail('want one address, or one of each family', { at: ['clusterIPs'] });
  if (!isHeadless && ipFamilies !== undefined && ipFamilies.join() !== families.join())
    fail(`want the families of clusterIPs: ${families.join(', ')}`, { at: ['ipFamilies'] });
  checkExternal(spec, fail);
  if (spec.sessionAffinityConfig !== undefined && spec.sessionAffinity === 'None')
    fail('only with sessionAffinity ClientIP', { at: ['sessionAffinityConfig'] });
}

function checkExternal(spec: Spec, fail: Fail): void {
  const { type, ports, externalIPs, externalTrafficPolicy, loadBalancerSourceRanges } = spec;
  checkNodePorts(type, ports, fail);
  if (type === 'ClusterIP' && externalTrafficPolicy !== undefined && externalIPs.length === 0)
    fail('only where clients from outside can come: type NodePort or LoadBalancer, or externalIPs', {
      at: ['externalTrafficPolicy'],
    });
  if (type !== 'LoadBalancer' && loadBalancerSourceRanges.length > 0)
    fail('only with type LoadBalancer', { at: ['loadBalancerSourceRanges'] });
}

function checkNodePorts(type: Service['spec']['type'], ports: readonly ServicePort[], fail: Fail): void {
  for (const [i, { nodePort }] of ports.entries()) {
    if (type === 'ClusterIP' && nodePort !== undefined)
      fail('only with type NodePort or LoadBalancer', { at: ['ports', i, 'nodePort'] });
    if (type === 'NodePort' && nodePort === undefined)
      fail('missing required field "nodePort": no API server gives one here', { at: ['ports', i] });
  }
}

const familyOf = (address: string): IPFamily => (isIpv6(address) ? 'IPv6' : 'IPv4');

const spec: Schema<Service['spec']> = mapped(
  checked(specFields, checkSpec),
  ({ clusterIPs, ipFamilies, sessionAffinity, sessionAffinityConfig, publishNotReadyAddresses: _, ...fields }) => {
    const addresses = (clusterIPs ?? [fields.clusterIP]).filter((address) => address !== HEADLESS);
    const timeoutSeconds = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
    return {
      ...fields,
      clusterIPs: addresses,
      ipFamilies: ipFamilies ?? (addresses.length === 0 ? ['IPv4'] : addresses.map(familyOf)),
      externalTrafficPolicy: fields.externalTrafficPolicy ?? 'Cluster',
      sessionAffinity: sessionAffinity === 'ClientIP' ? { timeoutSeconds } : undefined,
    };
  },
);

const ingress = object({ ip: optional(text(ip)), hostname: optional(string), ...ignoredFields('ipMode ports') });

const status: Schema<Service['status']> = mapped(
  object({
    loadBalancer: optional(object({ ingress: withDefault(list(ingress), () => []) })),
    conditions: ignored,
  }),
  ({ loadBalancer }) => ({
    loadBalancerIPs: (loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip])),
  }),
);

/** v1 Service, of any type but ExternalName. */
export const service: Schema<Pick<Service, 'metadata' | 'spec' | 'status'>> = object({
  ...TYPE_FIELDS,
  metadata: required(namespacedMeta(serviceName, ANNOTATIONS)),
  spec: required(spec),
  status: withDefault(status, () => ({ loadBalancerIPs: [] })),
});
