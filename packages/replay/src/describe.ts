import { type Agent, ownLabels, type PolicyReason, podName } from '@ciliate/agent';
import type { Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import { formatIpv4 } from '@ciliate/packet';

/** One step of a packet or request, for people; `policy` only with the steps in which policy was asked. */
export interface DescribedStep {
  kind: Step['kind'] | 'http';
  /** `namespace/name` of the pod at whose interface it happened. */
  at: string;
  text: string;
  policy?: PolicyReason;
}

const place = ({ address, port }: { address: number; port: number }): string => `${formatIpv4(address)}:${port}`;

/** The steps of one packet, in order. */
export function describeSteps(agent: Agent, steps: readonly Step[]): DescribedStep[] {
  const reasons = agent.explainPolicy(steps);
  return steps.map((step) => {
    const at = podName(agent.endpointOfId(step.endpoint)!);
    if (step.kind !== 'policy') return { kind: step.kind, at, text: textOf(agent, step) };
    const policy = reasons.shift()!;
    return { kind: step.kind, at, text: policyText(policy), policy };
  });
}

/** What the proxy did with a request. */
export function describeRequest(at: string, record: HttpAccessLog): DescribedStep {
  const request = `${record.method} ${record.path}`;
  const rule = record.rule === undefined ? 'no HTTP rule matches' : `matches ${record.rule}`;
  return { kind: 'http', at, text: `proxy: ${request}: ${rule}` };
}

function textOf(agent: Agent, step: Exclude<Step, { kind: 'policy' }>): string {
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
      return `goes to ${podName(agent.endpointOfId(step.to)!)} on this node`;
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
