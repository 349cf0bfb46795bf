import { type Agent, ownLabels, type PolicyReason, podName, protocolName } from '@ciliate/agent';
import { type Decision, isDecision, type Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import { NULL } from '@ciliate/maps';
import { formatIpv4 } from '@ciliate/packet';

/** One step of a packet or request, for people; `policy` only with the steps in which policy was asked. */
export interface DescribedStep {
  kind: Decision['kind'] | 'http';
  /** `namespace/name` of the pod at whose interface it happened. */
  at: string;
  text: string;
  policy?: PolicyReason;
}

/** How endpoints and identities are called. */
export interface Names {
  endpoint(id: number): string;
  /** Of an identity; '' if they are not known. */
  labels(identity: number): string;
}

const place = ({ address, port }: { address: number; port: number }): string => `${formatIpv4(address)}:${port}`;

/** What was decided about one packet, in order. */
export const describeSteps = (agent: Agent, steps: readonly Step[]): DescribedStep[] =>
  steps.filter(isDecision).map((step) => describeDecision(agent, step));

export function describeDecision(agent: Agent, step: Decision): DescribedStep {
  const at = placeOf(agent, step.endpoint);
  const described = { kind: step.kind, at, text: decisionText(namesOf(agent), step) };
  return step.kind === 'policy' ? { ...described, policy: agent.explainPolicy([step])[0]! } : described;
}

/** Programs of the node's own devices have no pod. */
export const placeOf = (agent: Agent, endpoint: number): string => namesOf(agent).endpoint(endpoint);

const namesOf = (agent: Agent): Names => ({
  endpoint: (id) => {
    const found = agent.endpoints[id - 1];
    return found === undefined ? 'the host' : podName(found);
  },
  labels: (identity) => ownLabels(agent.identities.get(identity)),
});

/** What the proxy did with a request. */
export function describeRequest(at: string, record: HttpAccessLog): DescribedStep {
  const request = `${record.method} ${record.path}`;
  const rule = record.rule === undefined ? 'no HTTP rule matches' : `matches ${record.rule}`;
  return { kind: 'http', at, text: `proxy: ${request}: ${rule}` };
}

/** A decision in a line. */
export function decisionText(names: Names, step: Decision): string {
  switch (step.kind) {
    case 'service': {
      const how = step.known ? 'known from conntrack' : 'chosen now';
      return `service ${place(step.frontend)} is translated to backend ${place(step.backend)} (${how})`;
    }
    case 'reverse-nat':
      return `the source ${place(step.from)} is written back as ${place(step.to)}`;
    case 'conntrack':
      return `conntrack, ${step.direction}: ${step.status}`;
    case 'identity': {
      const found = step.found ? 'ipcache' : 'not in the ipcache';
      return `${formatIpv4(step.address)} has identity ${step.identity} (${found}): ${names.labels(step.identity)}`;
    }
    case 'policy':
      return policyText(step);
    case 'local-delivery':
      return `goes to ${names.endpoint(step.to)} on this node`;
    case 'to-proxy':
      return step.port === 0
        ? 'goes back to the proxy that opened the connection'
        : `goes to the proxy, port ${step.port}`;
    case 'to-endpoint':
      return 'delivered';
    case 'to-stack':
      return 'goes to the stack of the host, and on by its routes';
    case 'to-overlay':
      return `goes by the tunnel to node ${formatIpv4(step.remote)}, with identity ${step.vni} as VNI`;
    case 'to-network':
      return `leaves by device ${step.ifindex}`;
    case 'drop':
      return `dropped: ${step.code} ${step.text}`;
  }
}

function policyText(step: Extract<Decision, { kind: 'policy' }>): string {
  const { direction, dport, protocol, remoteIdentity, verdict, proxyPort, entry } = step;
  const whose = direction === 'egress' ? 'to' : 'from';
  const asked = `${direction} policy, ${dport}/${protocolName(protocol)} ${whose} identity ${remoteIdentity}`;
  const answer = verdict < 0 ? 'deny' : proxyPort > 0 ? 'redirect' : 'allow';
  return `${asked}: ${answer}${entry === NULL ? ', no entry matches' : ''}`;
}
