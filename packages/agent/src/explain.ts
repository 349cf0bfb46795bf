import type { Step } from '@ciliate/bpf';
import type { HttpAccessLog } from '@ciliate/envoy';
import type { Labels } from '@ciliate/labels';
import { type Memory, NULL, readPolicyKey } from '@ciliate/maps';
import {
  formatOrigin,
  type MapStateEntry,
  type MapStateKey,
  type PolicyConfig,
  type PolicyRepository,
  protocolName,
  qualified,
  type RuleOrigin,
  type SelectingPolicy,
} from '@ciliate/policy';
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
  /** Of the agent: with `never`, nothing is. */
  mode: PolicyConfig['enforcement'];
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
    origins: originsOf(entry && endpoint.policy.mapState.get(entry)),
    enforced: step.direction === 'ingress' ? endpoint.policy.ingressEnforced : endpoint.policy.egressEnforced,
    mode: repository.config.enforcement,
    selectedBy: entry === undefined ? repository.policiesSelecting(endpoint, step.direction) : [],
  };
}

/** Of a deny, those that deny: Cilium merges allows of the same peers and ports into it. */
function originsOf(entry: MapStateEntry | undefined): readonly RuleOrigin[] {
  if (entry === undefined) return [];
  return entry.deny ? entry.origins.filter(({ list }) => list.endsWith('Deny')) : entry.origins;
}

/** Why a packet that policy let through was let through: the word of the last policy asked, the destination's. */
export function whyAllowed(reasons: readonly PolicyReason[]): string {
  const last = reasons.at(-1);
  if (last === undefined) return 'policy was not asked';
  if (last.entry !== undefined && last.origins.length === 0)
    return 'an entry for every port, as which the map has a range of ports from 0 on';
  if (last.origins.length === 0) return 'no header of this packet is looked at by policy';
  const added = last.origins.every(({ kind }) => kind === 'implicit');
  const origins = last.origins.map(formatOrigin).join('; ');
  if (!added || last.enforced) return origins;
  const why = last.mode === 'never' ? 'policy enforcement is off (never)' : `no policy selects ${last.endpoint}`;
  return `${why} (${origins})`;
}

/** Why a packet was dropped, in words. @param otherwise if it was not policy's doing */
export function whyDropped(reasons: readonly PolicyReason[], otherwise: string): string {
  const denied = reasons.find(({ verdict }) => verdict === 'deny');
  if (denied === undefined) return otherwise;
  if (denied.entry !== undefined) return `denied by ${denied.origins.map(formatOrigin).join('; ')}`;
  const policies = denied.selectedBy.map((policy) => `${policy.kind} ${qualified(policy)}`);
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
