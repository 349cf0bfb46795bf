import { type Agent, type Endpoint, ownLabels, type PolicyReason, podName } from '@ciliate/agent';
import type { Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import { formatIpv4 } from '@ciliate/packet';
import type { FlowExplanation, FlowKey } from '@ciliate/policy';

/** One step of a packet or request, for people; `policy` and `explanation` only where policy was asked. */
export interface DescribedStep {
  kind: Step['kind'] | 'http';
  /** `namespace/name` of the pod at whose interface it happened. */
  at: string;
  text: string;
  policy?: PolicyReason;
  explanation?: FlowExplanation;
}

const place = ({ address, port }: { address: number; port: number }): string => `${formatIpv4(address)}:${port}`;

/**
 * The steps of one packet, in order. If it is dropped by the policy of its sender, a step more tells whether that of its
 * destination would have let it in.
 */
export function describeSteps(agent: Agent, steps: readonly Step[]): DescribedStep[] {
  const reasons = agent.explainPolicy(steps);
  return steps.flatMap((step, index): DescribedStep[] => {
    const endpoint = agent.endpoints[step.endpoint - 1]!;
    const at = podName(endpoint);
    if (step.kind !== 'policy') return [{ kind: step.kind, at, text: textOf(agent, step) }];
    const policy = reasons.shift()!;
    const { direction, remoteIdentity: identity, protocol, dport } = step;
    const flow = { egress: direction === 'egress', identity, protocol, dport };
    const looked = steps
      .slice(0, index)
      .findLast((before) => before.kind === 'identity' && before.identity === identity);
    const explanation = agent.explainFlow(endpoint, flow, looked?.kind === 'identity' ? looked.address : undefined);
    const described = { kind: step.kind, at, text: policyText(policy), policy, explanation };
    const passed = step.verdict >= 0 || direction === 'ingress';
    return passed ? [described] : [described, ...notAsked(agent, endpoint, steps.slice(0, index), flow)];
  });
}

/** What the policy of a destination that the packet never reached would have said, if not that it may pass. */
function notAsked(agent: Agent, sender: Endpoint, before: readonly Step[], flow: FlowKey): DescribedStep[] {
  const looked = before.findLast((step) => step.kind === 'identity');
  const destination = looked && agent.endpointOfAddress(looked.address);
  if (destination === undefined) return [];
  const explanation = agent.explainFlow(destination, { ...flow, egress: false, identity: sender.identity });
  if (explanation.verdict === 'allow' || explanation.verdict === 'redirect') return [];
  const text = 'ingress policy would not have let it in either';
  return [{ kind: 'policy', at: podName(destination), text, explanation }];
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
