import { dnsLabel, dnsSubdomain, ip, isIpv6, portName } from '../formats.ts';
import { list } from '../schema/collections.ts';
import { checked, type Fail, mapped } from '../schema/derived.ts';
import { ignoredFields, object, optional, refused, required, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { boolean, integer, string, text, word } from '../schema/values.ts';
import type { ContainerPort, Pod } from '../types.ts';
import { namespacedMeta, TYPE_FIELDS } from './meta.ts';

const L4_PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export const MAX_PORT = 65535;

/** `protocol` of native Kubernetes objects: in capitals, TCP if not given. */
export const protocol = withDefault(word(L4_PROTOCOLS), () => 'TCP' as const);

const containerPort: Schema<ContainerPort> = object({
  name: optional(text(portName)),
  containerPort: required(integer(1, MAX_PORT)),
  protocol,
  hostPort: refused('ports of the host are'),
  hostIP: refused('ports of the host are'),
});

const container = object({
  name: required(text(dnsLabel)),
  ports: withDefault(list(containerPort), () => []),
  ...ignoredFields(
    'args command env envFrom image imagePullPolicy lifecycle livenessProbe readinessProbe resizePolicy',
  ),
  ...ignoredFields('resources restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce'),
  ...ignoredFields('terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir'),
});

const spec: Schema<Pod['spec']> = mapped(
  object({
    nodeName: optional(string),
    serviceAccountName: optional(string),
    serviceAccount: optional(string), // the older name of the same field
    containers: withDefault(list(container), () => []),
    hostNetwork: optional(
      checked(boolean, (value, fail) => {
        if (value) fail('pods in the network of their host are not modelled yet');
      }),
    ),
    ...ignoredFields('activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy'),
    ...ignoredFields('enableServiceLinks ephemeralContainers hostAliases hostIPC hostPID hostUsers hostname'),
    ...ignoredFields('hostnameOverride imagePullSecrets initContainers nodeSelector os overhead preemptionPolicy'),
    ...ignoredFields('priority priorityClassName readinessGates resourceClaims resources restartPolicy'),
    ...ignoredFields('runtimeClassName schedulerName schedulingGates securityContext setHostnameAsFQDN'),
    ...ignoredFields('shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations'),
    ...ignoredFields('topologySpreadConstraints volumes'),
  }),
  ({ nodeName, serviceAccountName, serviceAccount, containers }) => ({
    nodeName,
    serviceAccountName: serviceAccountName || serviceAccount || 'default',
    containers,
  }),
);

const ENDED = 'pods that have ended are';

/** A condition of a pod: only readiness decides about traffic. */
const condition = checked(
  object({
    type: required(string),
    status: required(string),
    ...ignoredFields('lastProbeTime lastTransitionTime message observedGeneration reason'),
  }),
  ({ type, status }, fail) => {
    if (type === 'Ready' && status !== 'True') fail('pods that are not ready are not modelled yet', { at: ['status'] });
  },
);

const NO_SCHEDULER = 'no scheduler gives pods an address here, so write status.podIP';

/** A list of addresses beside the field that has its first one. */
const addresses = optional(list(object({ ip: required(text(ip)) })));

/** At most one address of each family. @param first what the field beside the list says */
function checkAddresses(
  first: string | undefined,
  ips: readonly { ip: string }[] | undefined,
  name: string,
  fail: Fail,
) {
  if (ips === undefined) return;
  const at = [`${name}s`];
  if (ips[0]?.ip !== first) fail(`want ${name} (${first ?? 'none'}) first`, { at });
  else if (ips.length > 2 || (ips.length === 2 && isIpv6(ips[0]!.ip) === isIpv6(ips[1]!.ip)))
    fail('want at most one IPv4 and one IPv6 address', { at });
}

const status: Schema<Pod['status']> = mapped(
  checked(
    object({
      podIP: required(text(ip), NO_SCHEDULER),
      podIPs: addresses,
      hostIP: optional(text(ip)),
      hostIPs: addresses,
      phase: optional(
        word(['Running'], {
          Pending: 'pods that have not started are',
          Succeeded: ENDED,
          Failed: ENDED,
          Unknown: 'pods of an unknown state are',
        }),
      ),
      conditions: optional(list(condition)),
      ...ignoredFields('containerStatuses ephemeralContainerStatuses initContainerStatuses message'),
      ...ignoredFields('nominatedNodeName observedGeneration qosClass reason resize resourceClaimStatuses startTime'),
    }),
    ({ podIP, podIPs, hostIP, hostIPs }, fail) => {
      checkAddresses(podIP, podIPs, 'podIP', fail);
      checkAddresses(hostIP, hostIPs, 'hostIP', fail);
    },
  ),
  ({ podIP, podIPs, hostIP, hostIPs }) => ({
    podIP,
    podIPs: podIPs?.map((one) => one.ip) ?? [podIP],
    hostIP,
    hostIPs: hostIPs?.map((one) => one.ip) ?? (hostIP === undefined ? [] : [hostIP]),
  }),
);

/** v1 Pod. */
export const pod: Schema<Pick<Pod, 'metadata' | 'spec' | 'status'>> = object({
  ...TYPE_FIELDS,
  metadata: required(namespacedMeta(dnsSubdomain)),
  spec: withDefault(spec, () => ({ nodeName: undefined, serviceAccountName: 'default', containers: [] })),
  status: required(status, NO_SCHEDULER),
});
