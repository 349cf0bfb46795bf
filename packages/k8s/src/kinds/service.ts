import { dnsLabel, ipv4, labelKey, labelValue, portName, serviceName } from '../formats.ts';
import { list, stringMap } from '../schema/collections.ts';
import { checked, type Fail, mapped } from '../schema/derived.ts';
import { ignored, object, optional, refused, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { boolean, integer, integerOrString, text, word } from '../schema/values.ts';
import type { Service, ServicePort } from '../types.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';
import { MAX_PORT, protocol } from './pod.ts';

const targetPort = checked(integerOrString(1, MAX_PORT), (value, fail) => {
  const wrong = typeof value === 'string' ? portName(value) : undefined;
  if (wrong !== undefined) fail(wrong);
});

const port: Schema<ServicePort> = mapped(
  object({
    name: optional(text(dnsLabel)),
    port: required(integer(1, MAX_PORT)),
    targetPort: optional(targetPort),
    protocol,
    appProtocol: ignored,
    nodePort: refused('node ports are'),
  }),
  ({ name, port, targetPort, protocol }) => ({ name, port, targetPort: targetPort ?? port, protocol }),
);

/** Several ports must have names; no name and no port of a protocol may come twice. */
function checkPorts(ports: readonly ServicePort[], fail: Fail): void {
  if (ports.length === 0) fail('want at least one port');
  const seen = new Set<string>();
  const once = (word: string, index: number, field: string): void => {
    if (seen.has(word)) fail(`${word} is there twice`, { at: [index, field] });
    seen.add(word);
  };
  for (const [index, { name, port, protocol }] of ports.entries()) {
    once(`port ${port}/${protocol}`, index, 'port');
    if (name !== undefined) once(`name ${name}`, index, 'name');
    else if (ports.length > 1) fail('each of several ports needs a name', { at: [index] });
  }
}

/** Every known field with the only value that changes nothing, as `kubectl get -o yaml` prints it. */
const UNCHANGED = {
  ipFamilies: optional(list(word(['IPv4'], { IPv6: 'IPv6 is' }))),
  ipFamilyPolicy: optional(
    word(['SingleStack'], { PreferDualStack: 'dual stack is', RequireDualStack: 'dual stack is' }),
  ),
  internalTrafficPolicy: optional(word(['Cluster'], { Local: 'internalTrafficPolicy Local is' })),
  sessionAffinity: optional(word(['None'], { ClientIP: 'session affinity is' })),
  publishNotReadyAddresses: optional(
    checked(boolean, (value, fail) => {
      if (value) fail('pods that are not ready are not modelled yet');
    }),
  ),
};

const REFUSED = {
  allocateLoadBalancerNodePorts: refused('load balancers outside of the cluster are'),
  externalIPs: refused('external addresses of a service are'),
  externalName: refused('external names are'),
  externalTrafficPolicy: refused('traffic from outside of the cluster to a service is'),
  healthCheckNodePort: refused('node ports are'),
  loadBalancerClass: refused('load balancers outside of the cluster are'),
  loadBalancerIP: refused('load balancers outside of the cluster are'),
  loadBalancerSourceRanges: refused('load balancers outside of the cluster are'),
  sessionAffinityConfig: refused('session affinity is'),
  trafficDistribution: refused('a preference among backends is'),
};

const EXTERNAL_TYPES = {
  ExternalName: 'services of type ExternalName are',
  LoadBalancer: 'services of type LoadBalancer are',
  NodePort: 'services of type NodePort are',
};

const clusterIP = text((value) => {
  return value === 'None' ? 'headless services (clusterIP: None) are not modelled yet' : ipv4(value);
});

const selector = mapped(
  stringMap((key, value) => labelKey(key) ?? labelValue(value)),
  (value) => (Object.keys(value).length === 0 ? undefined : value),
);

const spec: Schema<Service['spec']> = mapped(
  checked(
    object({
      type: withDefault(word(['ClusterIP'], EXTERNAL_TYPES), () => 'ClusterIP' as const),
      clusterIP: required(clusterIP, 'no API server gives services an address here'),
      clusterIPs: optional(list(clusterIP)),
      selector: optional(selector),
      ports: required(checked(list(port), checkPorts)),
      ...UNCHANGED,
      ...REFUSED,
    }),
    ({ clusterIP, clusterIPs }, fail) => {
      if (clusterIPs === undefined || (clusterIPs.length === 1 && clusterIPs[0] === clusterIP)) return;
      fail(`want clusterIP (${clusterIP}) and nothing else`, { at: ['clusterIPs'] });
    },
  ),
  ({ type, clusterIP, selector, ports }) => ({ type, clusterIP, selector, ports }),
);

/** v1 Service, of type ClusterIP only. */
export const service: Schema<Pick<Service, 'metadata' | 'spec'>> = object({
  ...TYPE_FIELDS,
  metadata: required(namespacedMeta(serviceName)),
  spec: required(spec),
  status: ignored,
});
