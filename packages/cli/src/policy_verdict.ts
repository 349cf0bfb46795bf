import {
  addressEnd,
  backingSlices,
  ClusterPolicy,
  ENTITIES,
  entityEnd,
  explainPath,
  type FlowEnd,
  type FlowStep,
  podEnd,
} from '@ciliate/agent';
import { findWorkload, InputError, nearestWord, type ObjectStore, type Pod, type Service } from '@ciliate/k8s';
import { receiversOf } from '@ciliate/loadbalancer';
import { formatIp, type IpAddress, parseIp } from '@ciliate/packet';
import { PROTOCOL_NUMBERS } from '@ciliate/policy';
import { noSuchPort } from './frontend.ts';
import { type PolicyOptions, policyConfigOf } from './options.ts';
import { explanationLines, remedyLines } from './render_explanation.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP' | 'ICMP' | 'ICMPv6';

/** A flow that only policy is asked about. */
export interface PolicyQuestion {
  /** A pod, an address, or an entity. */
  readonly from: string;
  /** A pod, service, address, or an entity. */
  readonly to: string;
  /** Of ICMP: the type. */
  readonly port: number;
  readonly protocol: Protocol;
  /** Why no packets are played. */
  readonly reason: string;
}

export interface PolicyVerdict {
  readonly source: string;
  readonly destination: string;
  readonly asked: string;
  readonly playedAs: 'policy alone';
  readonly reason: string;
  readonly outcome: FlowStep['explanation']['verdict'];
  readonly steps: readonly FlowStep[];
  /** Policies that nobody enforces, and why. */
  readonly ignored: readonly string[];
}

/** @throws InputError for an end that is not there */
export async function policyVerdict(
  store: ObjectStore,
  { from, to, port, protocol, reason }: PolicyQuestion,
  options: PolicyOptions & { seed: number },
): Promise<PolicyVerdict> {
  const cluster = await ClusterPolicy.of(store, options.seed, policyConfigOf(options));
  const source = endOf(cluster, store, '--from', from);
  if ('service' in source) throw new InputError(`--from ${from}: a service sends nothing, name a pod`, {});
  const named = endOf(cluster, store, '--to', to);
  const target = 'service' in named ? behind(cluster, store, named.service, port, protocol) : { end: named, port };
  const steps = explainPath(cluster, source, target.end, {
    protocol: PROTOCOL_NUMBERS[protocol === 'ICMPv6' ? 'ICMPV6' : protocol],
    dport: target.port,
  });
  const verdicts = steps.map(({ explanation }) => explanation.verdict);
  const outcome = (['deny', 'drop', 'redirect'] as const).find((one) => verdicts.includes(one)) ?? 'allow';
  const asked = `${port}/${protocol}`;
  const destination = 'service' in named ? `${to} (${target.end.name}:${target.port})` : target.end.name;
  const { ignored } = cluster;
  return { source: source.name, destination, asked, playedAs: 'policy alone', reason, outcome, steps, ignored };
}

function endOf(
  cluster: ClusterPolicy,
  store: ObjectStore,
  option: string,
  text: string,
): FlowEnd | { service: Service } {
  const entity = entityEnd(cluster, text);
  if (entity !== undefined) return entity;
  const address = parseIp(text);
  const found = address === undefined ? workload(store, option, text) : workloadAt(store, address);
  if (found === undefined) return addressEnd(cluster, text);
  return found.kind === 'Service' ? { service: found } : podOf(cluster, found);
}

/** @throws InputError, with the entity that was probably meant */
export function workload(store: ObjectStore, option: string, text: string): Pod | Service {
  try {
    return findWorkload(store, text);
  } catch (error) {
    const meant = nearestWord(text, ENTITIES);
    if (meant === undefined) throw error;
    throw new InputError(`${option} ${text}: no such pod or service; did you mean the entity "${meant}"?`, {});
  }
}

export const workloadAt = (store: ObjectStore, address: IpAddress): Pod | Service | undefined =>
  store.list('Service').find(({ spec }) => spec.clusterIPs.some((text) => parseIp(text) === address)) ??
  store.list('Pod').find(({ status }) => status.podIPs.some((text) => parseIp(text) === address));

const podOf = (cluster: ClusterPolicy, { metadata: { namespace, name }, status }: Pod): FlowEnd =>
  podEnd(cluster, `${namespace}/${name}`, status.podIP)!;

/** The first backend of a service stands for all of them. */
function behind(
  cluster: ClusterPolicy,
  store: ObjectStore,
  service: Service,
  port: number,
  protocol: Protocol,
): { end: FlowEnd; port: number } {
  const { namespace, name } = service.metadata;
  const slices = backingSlices(store).get(`${namespace}/${name}`) ?? [];
  const backends =
    protocol === 'ICMP' || protocol === 'ICMPv6' ? undefined : receiversOf(service, slices, { port, protocol });
  if (backends === undefined) throw noSuchPort(`--port ${port}/${protocol}`, service);
  const [backend] = backends;
  if (backend === undefined) throw new InputError(`service ${namespace}/${name} has no backend`, {});
  const end = workloadAt(store, backend.address);
  const address = formatIp(backend.address);
  return { end: end?.kind === 'Pod' ? podOf(cluster, end) : addressEnd(cluster, address), port: backend.port };
}

const SAID = { allow: 'allowed', redirect: 'redirected to the proxy', deny: 'denied', drop: 'dropped' } as const;

export function renderPolicyVerdict(verdict: PolicyVerdict): string {
  const { source, destination, asked, reason, outcome, steps, ignored } = verdict;
  const lines = steps.flatMap(({ at, explanation }) => {
    const direction = explanation.flow.egress ? 'egress' : 'ingress';
    const peer = `${explanation.flow.egress ? 'to' : 'from'} identity ${explanation.flow.identity}`;
    const head = `  ${at}: ${direction} policy, ${asked} ${peer}: ${explanation.verdict}`;
    return [head, ...explanationLines(explanation).map((line) => `    ${line}`)];
  });
  return [
    `${source} -> ${destination}: ${asked}`,
    `  only policy is asked: ${reason}`,
    ...(lines.length === 0 ? ['  nobody here has a say in it'] : lines),
    `${outcome.toUpperCase()}: by policy, this is ${SAID[outcome]}`,
    ...steps.flatMap(({ at, explanation }) => remedyLines(at, explanation)),
    ...ignored,
    '',
  ].join('\n');
}
