import { type Agent, ownLabels, type PolicyReason, podName } from '@ciliate/agent';
import { type Decision, isDecision, type Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import { formatIpv4 } from '@ciliate/packet';

/** One step of a packet or request, for people; `policy` only with the steps in which policy was asked. */
export interface DescribedStep {
  kind: Decision['kind'] | 'http';
  /** `namespace/name` of the pod at whose interface it happened. */
  at: string;
  text: string;
  policy?: PolicyReason;
}

const place = ({ address, port }: { address: number; port: number }): string => `${formatIpv4(address)}:${port}`;

/** What was decided about one packet, in order. */
export const describeSteps = (agent: Agent, steps: readonly Step[]): DescribedStep[] =>
  steps.filter(isDecision).map((step) => describeDecision(agent, step));

export function describeDecision(agent: Agent, step: Decision): DescribedStep {
  const at = placeOf(agent, step.endpoint);
  if (step.kind !== 'policy') return { kind: step.kind, at, text: textOf(agent, step) };
  const policy = agent.explainPolicy([step])[0]!;
  return { kind: step.kind, at, text: policyText(policy), policy };
}

/** Programs of the node's own devices have no pod. */
export function placeOf(agent: Agent, endpoint: number): string {
  const found = agent.endpoints[endpoint - 1];
  return found === undefined ? 'the host' : podName(found);
}

/** What the proxy did with a request. */
export function describeRequest(at: string, record: HttpAccessLog): DescribedStep {
  const request = `${record.method} ${record.path}`;
  const rule = record.rule === undefined ? 'no HTTP rule matches' : `matches ${record.rule}`;
  return { kind: 'http', at, text: `proxy: ${request}: ${rule}` };
}

function textOf(agent: Agent, step: Exclude<Decision, { kind: 'policy' }>): string {
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
      const labels = ownLabels(agent.identities.get(step.identity));
      const found = step.found ? 'ipcache' : 'not in the ipcache';
      return `${formatIpv4(step.address)} has identity ${step.identity} (${found}): ${labels}`;
    }
    case 'local-delivery':
      return `goes to ${podName(agent.endpoints[step.to - 1]!)} on this node`;
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

function policyText(policy: PolicyReason): string {
  const { direction, port, protocol, remote } = policy;
  const asked = `${direction} policy, ${port}/${protocol} ${direction === 'egress' ? 'to' : 'from'} identity ${remote.identity}`;
  return `${asked}: ${policy.verdict}${policy.entry === undefined ? ', no entry matches' : ''}`;
}
