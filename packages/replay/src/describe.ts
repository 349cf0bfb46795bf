import { type Agent, type Endpoint, ownLabels, type PolicyReason, podName } from '@ciliate/agent';
import { type Decision, isDecision, type Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import { NULL } from '@ciliate/maps';
import { formatIp, formatIpPort, type IpAddress } from '@ciliate/packet';
import { type FlowExplanation, type FlowKey, protocolName } from '@ciliate/policy';

/** One step of a packet or request, for people; `policy` and `explanation` only where policy was asked. */
export interface DescribedStep {
  kind: Decision['kind'] | 'http';
  /** `namespace/name` of the pod at whose interface it happened. */
  at: string;
  text: string;
  policy?: PolicyReason;
  explanation?: FlowExplanation;
}

/** How endpoints and identities are called. */
export interface Names {
  endpoint(id: number): string;
  /** Of an identity; '' if they are not known. */
  labels(identity: number): string;
}

const place = ({ address, port }: { address: IpAddress; port: number }): string => formatIpPort(address, port);

/** What was decided about one packet, in order. Where policy was asked, the explanation tells what else matched and why it lost. */
export function describeSteps(agent: Agent, steps: readonly Step[]): DescribedStep[] {
  const decisions = steps.filter(isDecision);
  return decisions.flatMap((step, index): DescribedStep[] => {
    const described = describeDecision(agent, step);
    if (step.kind !== 'policy') return [described];
    const { direction, remoteIdentity: identity, protocol, dport } = step;
    const flow = { egress: direction === 'egress', identity, protocol, dport };
    const before = decisions.slice(0, index);
    const looked = before.findLast((one) => one.kind === 'identity' && one.identity === identity);
    const endpoint = agent.endpointOfId(step.endpoint)!;
    const explanation = agent.explainFlow(endpoint, flow, looked?.kind === 'identity' ? looked.address : undefined);
    const passed = step.verdict >= 0 || direction === 'ingress';
    return [
      { ...described, explanation },
      ...disagreement(described, step, explanation),
      ...(passed ? [] : notAsked(agent, endpoint, before, flow)),
    ];
  });
}

export function describeDecision(agent: Agent, step: Decision): DescribedStep {
  const at = placeOf(agent, step.endpoint);
  const described = { kind: step.kind, at, text: decisionText(namesOf(agent), step) };
  return step.kind === 'policy' ? { ...described, policy: agent.explainPolicy([step])[0]! } : described;
}

/**
 * The policy engine and the programs look up by rules that are not quite the same: a range that begins at port 0 is every
 * port in the map, and authentication is inherited across priorities.
 */
function disagreement(
  { at }: DescribedStep,
  { verdict }: Extract<Decision, { kind: 'policy' }>,
  explanation: FlowExplanation,
): DescribedStep[] {
  const allows = explanation.verdict === 'allow' || explanation.verdict === 'redirect';
  const asks = allows && explanation.entry?.authType !== 0;
  if (verdict >= 0 === allows || asks) return [];
  const text = `here Cilium's programs differ from its policy engine, which says ${explanation.verdict}`;
  return [{ kind: 'policy', at, text }];
}

/** What the policy of a destination that the packet never reached would have said, if not that it may pass. */
function notAsked(agent: Agent, sender: Endpoint, before: readonly Decision[], flow: FlowKey): DescribedStep[] {
  const looked = before.findLast((step) => step.kind === 'identity');
  const destination = looked && agent.endpointOfAddress(looked.address);
  if (destination === undefined) return [];
  const explanation = agent.explainFlow(destination, { ...flow, egress: false, identity: sender.identity });
  if (explanation.verdict === 'allow' || explanation.verdict === 'redirect') return [];
  const text = 'ingress policy would not have let it in either';
  return [{ kind: 'policy', at: podName(destination), text, explanation }];
}

/** Programs of the node's own devices have no pod. */
export const placeOf = (agent: Agent, endpoint: number): string => namesOf(agent).endpoint(endpoint);

const namesOf = (agent: Agent): Names => ({
  endpoint: (id) => {
    const found = agent.endpointOfId(id);
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
      return `${formatIp(step.address)} has identity ${step.identity} (${found}): ${names.labels(step.identity)}`;
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
      return `goes by the tunnel to node ${formatIp(step.remote)}, with identity ${step.vni} as VNI`;
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
