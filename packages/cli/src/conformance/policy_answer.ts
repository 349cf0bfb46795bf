import { formatPrefix } from '@ciliate/identity';
import { InputError } from '@ciliate/k8s';
import {
  type EndpointPolicy,
  lookupMapState,
  type MapStateEntry,
  type MapStateKey,
  NamedPorts,
  PolicyConflictError,
  PolicyRepository,
  resolveSelectorPolicy,
  SelectorCache,
} from '@ciliate/policy';
import { type L7Answer, l7Answer } from './l7_answer.ts';
import { decodePolicy, refusalOf } from './objects.ts';
import type { CaseFlow, CaseStep, PolicyCase } from './policy_case.ts';
import { CaseIdentities } from './policy_identities.ts';

/** What the engine says of a case, in the words of the published format, with every default filled in. */
export interface PolicyAnswer {
  readonly identities: ReadonlyMap<string, { identity: number; identityLabels: string[] }>;
  readonly cidrIdentities: readonly PrefixAnswer[];
  readonly fqdnIdentities: readonly PrefixAnswer[];
  /** Endpoints whose policy cannot be computed, and why. */
  readonly conflicts: ReadonlyMap<string, string>;
  /** The other local endpoints. */
  readonly endpoints: ReadonlyMap<string, EndpointAnswer>;
  readonly flows: readonly FlowAnswer[];
  /** For each step, by endpoint. */
  readonly steps: readonly ReadonlyMap<string, StepAnswer>[];
}

export interface PrefixAnswer {
  cidr: string;
  identity: number;
  labels: string[];
}

export interface EndpointAnswer {
  policyEnabled: { ingress: boolean; egress: boolean };
  mapstate: EntryAnswer[];
  l7: L7Answer;
}

export interface KeyAnswer {
  direction: 'ingress' | 'egress';
  identity: number;
  protocol: number;
  dport: number;
  portPrefixLen: number;
}

export interface EntryAnswer extends KeyAnswer {
  deny: boolean;
  redirect: boolean;
  l7parser: string;
  listener: string;
  proxyPortPriority: number;
  authType: number;
  authExplicit: boolean;
}

export interface FlowAnswer {
  srcIdentity: number;
  dstIdentity: number;
  /** null: the source is no local endpoint. */
  egress: VerdictAnswer | null;
  ingress: VerdictAnswer | null;
  final: 'DROPPED' | 'AUTH' | 'REDIRECTED' | 'FORWARDED';
}

export interface VerdictAnswer {
  verdict: 'allow' | 'deny' | 'redirect';
  dropReason: 0 | 133 | 181;
  authType: number;
  authExplicit: boolean;
  proxyPortPriority: number;
  l7parser: string;
  listener: string;
  matchedKey: Omit<KeyAnswer, 'direction'> | null;
}

export interface StepAnswer {
  adds: KeyAnswer[];
  deletes: KeyAnswer[];
  mapstate: EntryAnswer[];
}

const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58 } as const;
const DROP_POLICY = 133;
const DROP_POLICY_DENY = 181;

/** The engine does not take in a policy of the case, and so has no answer. */
export interface Refusal {
  readonly refused: string;
}

/**
 * Ask the engine.
 * @param where `file:line`
 * @throws InputError for a case that contradicts itself
 */
export function answerCase(input: PolicyCase, where: string): PolicyAnswer | Refusal {
  const repository = new PolicyRepository(input.config);
  repository.setServices(input.services);
  for (const [i, raw] of input.policies.entries()) {
    const refusal = refusalOf(() => repository.upsert(decodePolicy(raw, `${where}: policies[${i}]`)));
    if (refusal !== undefined) return { refused: refusal.message };
  }
  const identities = new CaseIdentities(input, repository.prefixes(), repository.fqdnSelectors(), where);
  const selectors = new SelectorCache(identities.known(input.endpoints));
  const { policies, conflicts } = resolveAll(input, repository, identities, selectors);
  const prefixes = identities.prefixes().map(({ entry: { prefix, identity, labels }, onlyDns }) => ({
    onlyDns,
    answer: { cidr: formatPrefix(prefix), identity, labels: labels.toStrings() },
  }));
  return {
    identities: new Map(
      input.endpoints.map(({ name }) => {
        const [identity, labels] = identities.of(name);
        return [name, { identity, identityLabels: labels.toStrings() }];
      }),
    ),
    cidrIdentities: prefixes.filter(({ onlyDns }) => !onlyDns).map(({ answer }) => answer),
    fqdnIdentities: prefixes.filter(({ onlyDns }) => onlyDns).map(({ answer }) => answer),
    conflicts,
    endpoints: new Map([...policies].map(([name, policy]) => [name, endpointAnswer(policy)])),
    flows: input.flows.map((flow) => flowAnswer(flow, policies, identities)),
    steps: input.steps.map((step) => {
      const updates = selectors.updateIdentities(...changeOf(step, input, identities, where));
      return new Map([...policies].map(([name, policy]) => [name, stepAnswer(policy, updates)]));
    }),
  };
}

type Policies = Map<string, EndpointPolicy>;

function resolveAll(
  { endpoints }: PolicyCase,
  repository: PolicyRepository,
  identities: CaseIdentities,
  selectors: SelectorCache,
): { policies: Policies; conflicts: Map<string, string> } {
  const allNamedPorts = NamedPorts.of(endpoints.map(({ namedPorts }) => namedPorts));
  const policies: Policies = new Map();
  const conflicts = new Map<string, string>();
  for (const { name, local, namedPorts } of endpoints) {
    if (!local) continue;
    const [identity, labels] = identities.of(name);
    try {
      const policy = resolveSelectorPolicy(repository, { identity, labels }, selectors);
      policies.set(name, policy.distill({ namedPorts, allNamedPorts }));
    } catch (error) {
      if (!(error instanceof PolicyConflictError)) throw error;
      conflicts.set(name, error.message);
    }
  }
  return { policies, conflicts };
}

const endpointAnswer = (policy: EndpointPolicy): EndpointAnswer => ({
  policyEnabled: { ingress: policy.ingressEnforced, egress: policy.egressEnforced },
  mapstate: mapStateAnswer(policy),
  l7: l7Answer(policy.redirects),
});

const mapStateAnswer = ({ mapState }: EndpointPolicy): EntryAnswer[] =>
  [...mapState].map(entryAnswer).sort(compareKeys);

function entryAnswer(entry: MapStateEntry): EntryAnswer {
  const { deny, redirect, parser, listener, proxyPortPriority, authType, authExplicit } = entry;
  const l7parser = parser ?? '';
  return { ...keyAnswer(entry.key), deny, redirect, l7parser, listener, proxyPortPriority, authType, authExplicit };
}

function keyAnswer({ egress, identity, protocol, dport, portPrefixLen }: MapStateKey): KeyAnswer {
  return { direction: egress ? 'egress' : 'ingress', identity, protocol, dport, portPrefixLen };
}

/** The order of the published format. */
export function compareKeys(a: KeyAnswer, b: KeyAnswer): number {
  if (a.direction !== b.direction) return a.direction < b.direction ? -1 : 1;
  return a.identity - b.identity || a.protocol - b.protocol || a.dport - b.dport || a.portPrefixLen - b.portPrefixLen;
}

function flowAnswer(flow: CaseFlow, policies: Policies, identities: CaseIdentities): FlowAnswer {
  const srcIdentity = identities.ofPeer(flow.src);
  const dstIdentity = identities.ofPeer(flow.dst);
  const egress = verdictAnswer(policies.get(flow.src), flow, true, dstIdentity);
  const ingress = verdictAnswer(policies.get(flow.dst), flow, false, srcIdentity);
  return { srcIdentity, dstIdentity, egress, ingress, final: finalOf([egress, ingress]) };
}

function verdictAnswer(
  policy: EndpointPolicy | undefined,
  { protocol, port }: CaseFlow,
  egress: boolean,
  identity: number,
): VerdictAnswer | null {
  if (policy === undefined) return null;
  const flow = { egress, identity, protocol: PROTOCOLS[protocol], dport: port };
  const entry = lookupMapState(policy.mapState, flow);
  if (entry === undefined) return { ...NO_ENTRY };
  const { l7parser, listener, proxyPortPriority, authType, authExplicit } = entryAnswer(entry);
  const { direction: _, ...matchedKey } = keyAnswer(entry.key);
  const verdict = entry.deny ? 'deny' : entry.redirect ? 'redirect' : 'allow';
  const dropReason = entry.deny ? DROP_POLICY_DENY : 0;
  return { verdict, dropReason, authType, authExplicit, proxyPortPriority, l7parser, listener, matchedKey };
}

const NO_ENTRY: VerdictAnswer = {
  verdict: 'deny',
  dropReason: DROP_POLICY,
  authType: 0,
  authExplicit: false,
  proxyPortPriority: 0,
  l7parser: '',
  listener: '',
  matchedKey: null,
};

function finalOf(sides: readonly (VerdictAnswer | null)[]): FlowAnswer['final'] {
  if (sides.some((side) => side?.verdict === 'deny')) return 'DROPPED';
  if (sides.some((side) => side !== null && side.authType !== 0)) return 'AUTH';
  return sides.some((side) => side?.verdict === 'redirect') ? 'REDIRECTED' : 'FORWARDED';
}

/** What becomes known, and what is known no more. */
function changeOf(
  { op, identity }: CaseStep,
  { endpoints }: PolicyCase,
  identities: CaseIdentities,
  where: string,
): Parameters<SelectorCache['updateIdentities']> {
  const entry = endpoints.map(({ name }) => identities.of(name)).find(([number]) => number === identity);
  if (entry === undefined) throw new InputError(`${where}: steps: no endpoint has identity ${identity}`, { where });
  return op === 'add' ? [[entry], []] : [[], [identity]];
}

function stepAnswer(policy: EndpointPolicy, updates: Parameters<EndpointPolicy['update']>[0]): StepAnswer {
  const { adds, deletes } = policy.update(updates);
  return {
    adds: adds.map(keyAnswer).sort(compareKeys),
    deletes: deletes.map(keyAnswer).sort(compareKeys),
    mapstate: mapStateAnswer(policy),
  };
}
