import type { Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import type { Labels } from '@ciliate/labels';
import { type Memory, NULL, readPolicyKey } from '@ciliate/maps';
import type { MapStateKey, PolicyRepository, RuleOrigin, SelectingPolicy } from '@ciliate/policy';
import { type Endpoint, podName } from './endpoint.ts';

/** What one endpoint's policy said about a packet, and by whose order. */
export interface PolicyReason {
  direction: 'egress' | 'ingress';
  /** `namespace/name` of the pod whose policy it is. */
  endpoint: string;
  /** The other side. */
  remote: { identity: number; labels: string[] };
  protocol: string;
  /** Destination port; for ICMP the type. */
  port: number;
  verdict: 'allow' | 'redirect' | 'deny';
  /** Positive; 0 unless denied. */
  dropCode: number;
  /** The entry of the policy map that decided; undefined: none matched, and the default is to deny. */
  entry: MapStateKey | undefined;
  /** The rules the entry comes from. */
  origins: readonly RuleOrigin[];
  /** Is what no entry matches dropped? */
  enforced: boolean;
  /** Only when denied by default: the policies that select the endpoint and so put it there. */
  selectedBy: readonly SelectingPolicy[];
}

type PolicyStep = Extract<Step, { kind: 'policy' }>;

interface PolicyContext {
  memory: Memory;
  repository: PolicyRepository;
  endpoint: Endpoint;
  labelsOf(identity: number): Labels | undefined;
}

/** Labels without those that Cilium adds (namespace, service account, cluster), for people. */
export const ownLabels = (labels: Labels | undefined): string =>
  (labels?.toStrings() ?? []).filter((label) => !/^k8s:io\.(cilium|kubernetes)\./.test(label)).join(' ');

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6', 132: 'SCTP' };
export const protocolName = (protocol: number): string => PROTOCOLS[protocol] ?? `protocol ${protocol}`;

/** Looks up whose order it was: from the entry's place in the policy map to its key, from there to the rules. */
export function explainPolicyStep(
  step: PolicyStep,
  { memory, repository, endpoint, labelsOf }: PolicyContext,
): PolicyReason {
  let entry: MapStateKey | undefined;
  if (step.entry !== NULL) entry = readPolicyKey(memory, endpoint.policyMap.trie.keyOf(step.entry));
  return {
    direction: step.direction,
    endpoint: podName(endpoint),
    remote: { identity: step.remoteIdentity, labels: labelsOf(step.remoteIdentity)?.toStrings() ?? [] },
    protocol: protocolName(step.protocol),
    port: step.dport,
    verdict: step.verdict < 0 ? 'deny' : step.proxyPort > 0 ? 'redirect' : 'allow',
    dropCode: step.verdict < 0 ? -step.verdict : 0,
    entry,
    origins: entry === undefined ? [] : (endpoint.policy.mapState.get(entry)?.origins ?? []),
    enforced: step.direction === 'ingress' ? endpoint.policy.ingressEnforced : endpoint.policy.egressEnforced,
    selectedBy: entry === undefined ? repository.policiesSelecting(endpoint, step.direction) : [],
  };
}

/** `namespace/name`, or the name of what belongs to the whole cluster. */
const qualified = (namespace: string, name: string): string => (namespace === '' ? name : `${namespace}/${name}`);

/** A rule in a line: what it is, its number and its place in the user's file; or the name of what Cilium adds itself. */
export function formatOrigin(origin: RuleOrigin): string {
  const { kind, namespace, name, list, ruleIndex, position } = origin;
  if (kind === 'implicit') return name;
  const place = position === undefined ? '' : ` (${position.file}:${position.line})`;
  return `${kind} ${qualified(namespace, name)} ${list}[${ruleIndex}]${place}`;
}

/** Why a packet that policy let through was let through: the word of the last policy asked, the destination's. */
export function whyAllowed(reasons: readonly PolicyReason[]): string {
  const last = reasons.at(-1);
  if (last === undefined) return 'policy was not asked';
  if (last.origins.length === 0) return 'no header of this packet is looked at by policy';
  const added = last.origins.every(({ kind }) => kind === 'implicit');
  const origins = last.origins.map(formatOrigin).join('; ');
  return added && !last.enforced ? `no policy selects ${last.endpoint} (${origins})` : origins;
}

/** Why a packet was dropped, in words. @param otherwise if it was not policy's doing */
export function whyDropped(reasons: readonly PolicyReason[], otherwise: string): string {
  const denied = reasons.find(({ verdict }) => verdict === 'deny');
  if (denied === undefined) return otherwise;
  if (denied.entry !== undefined) return `denied by ${denied.origins.map(formatOrigin).join('; ')}`;
  const policies = denied.selectedBy.map(({ kind, namespace, name }) => `${kind} ${qualified(namespace, name)}`);
  const selects = policies.length === 0 ? '' : `, which ${[...new Set(policies)].join(', ')} selects`;
  const flow = `${denied.port}/${denied.protocol}`;
  return denied.direction === 'ingress'
    ? `no rule allows ${flow} from identity ${denied.remote.identity} to ${denied.endpoint}${selects}`
    : `no rule allows ${flow} to identity ${denied.remote.identity} from ${denied.endpoint}${selects}`;
}

/** Why the proxy let a request through. */
export const whyRequestPassed = (record: HttpAccessLog): string => record.rule ?? 'the proxy has no HTTP rules for it';

/** Why the proxy answered 403 itself: the rules that let the connection through to it, and none of which it matches. */
export function whyRequestDenied(record: HttpAccessLog, reasons: readonly PolicyReason[]): string {
  const rules = reasons.at(-1)?.origins.map(formatOrigin).join('; ');
  return `${record.method} ${record.path} matches no HTTP rule of ${rules}`;
}
