import { styleText } from 'node:util';
import { type Agent, type Endpoint, ownLabels, podName } from '@ciliate/agent';
import { joinHostPort } from '@ciliate/packet';
import { protocolName } from '@ciliate/policy';
import type { Outcome, Row, ThroughputResult } from '@ciliate/replay';
import { table } from './table.ts';

/** A heading, set off by an empty line. */
export const heading = (text: string): string => `\n${styleText('bold', text)}\n`;

/** `cilium-dbg identity list`, with the pods that have each. */
export function renderIdentities(agent: Agent): string {
  const pods = new Map<number, string[]>();
  for (const endpoint of agent.endpoints)
    pods.set(endpoint.identity, [...(pods.get(endpoint.identity) ?? []), podName(endpoint)]);
  const rows = [...pods]
    .sort(([a], [b]) => a - b)
    .map(([identity, names]) => [`${identity}`, names.join(', '), ownLabels(agent.identities.get(identity))]);
  return table(['ID', 'PODS', 'LABELS'], rows);
}

/** The entries of an endpoint's policy map, as `cilium-dbg bpf policy get` names the columns. */
export function renderPolicyMap(agent: Agent, endpoint: Endpoint): string {
  const entries = endpoint.policyMap.entries();
  entries.sort((a, b) => Number(a.egress) - Number(b.egress) || a.identity - b.identity || a.dport - b.dport);
  const rows = entries.map(({ deny, egress, identity, protocol, dport, portPrefixLen, proxyPort }) => [
    deny ? 'Deny' : 'Allow',
    egress ? 'Egress' : 'Ingress',
    identity === 0 ? 'ANY' : `${identity}`,
    identity === 0 ? '' : ownLabels(agent.identities.get(identity)),
    protocol === 0 ? 'ANY' : `${portText({ dport, portPrefixLen })}/${protocolName(protocol)}`,
    proxyPort === 0 ? 'NONE' : `${proxyPort}`,
    `${portPrefixLen}`,
  ]);
  return table(['POLICY', 'DIRECTION', 'IDENTITY', 'LABELS', 'PORT/PROTO', 'PROXY PORT', 'PREFIX'], rows);
}

/** `80`, `64-127` or `ANY`. */
export function portText({ dport, portPrefixLen }: { dport: number; portPrefixLen: number }): string {
  if (portPrefixLen === 0) return 'ANY';
  const last = dport + 2 ** (16 - portPrefixLen) - 1;
  return last === dport ? `${dport}` : `${dport}-${last}`;
}

/** One line for each connection or request. */
export function renderRows(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    joinHostPort(row.source, row.sourcePort),
    row.destination,
    row.asked,
    row.verdict,
    coloured(row.outcome, row.sees),
    row.why,
  ]);
  return table(['SOURCE', 'DESTINATION', 'ASKED', 'VERDICT', 'CLIENT SEES', 'WHY'], lines);
}

function coloured(outcome: Outcome, text: string): string {
  if (outcome === 'answered') return styleText('green', text);
  return styleText(outcome === 'dropped' ? 'red' : 'yellow', text);
}

export function renderThroughput({ lookups, packets, node, cpu, seed }: ThroughputResult): string {
  const million = (perSecond: number): string => `${(perSecond / 1e6).toFixed(2)} M/s`;
  const ns = (value: number): string => `${value.toFixed(1)} ns`;
  const line = (name: string, { workers, perSecond, nsPerOperation, overheadNs }: typeof lookups.single): string[] => [
    name,
    `${workers}`,
    million(perSecond),
    ns(nsPerOperation),
    ns(overheadNs),
  ];
  return [
    table(
      ['WHAT', 'WORKERS', 'THROUGHPUT', 'EACH', 'OF IT THE LOOP'],
      [
        line('policy lookups (verdicts)', lookups.single),
        line('policy lookups (verdicts)', lookups.parallel),
        line('packets, whole path', packets.single),
        line('packets, whole path', packets.parallel),
      ],
    ),
    `${lookups.questions} questions and ${packets.packets} packets of the trace, over and over; `,
    `Node ${node}, ${cpu}, seed ${seed}. One worker and many gave the same verdicts.\n`,
  ].join('');
}
