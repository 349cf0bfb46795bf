import {
  type Claim,
  type FlowExplanation,
  formatOrigin,
  type MapStateKey,
  type NearMiss,
  protocolName,
  qualified,
  type RuleOrigin,
  type Suggestion,
} from '@ciliate/policy';
import { portText } from './render.ts';

/** Rules that nearly allow a flow: so many are shown. */
const SHOWN_MISSES = 3;

/** Why a flow fares as it does, line by line. */
export function explanationLines({ entry, because, lost, selectedBy, nearMisses }: FlowExplanation): string[] {
  const lines: string[] = [];
  if (entry !== undefined) lines.push(`entry: ${keyText(entry.key)}`);
  for (const claim of because) lines.push(...claimLines('from', claim));
  if (entry !== undefined && entry.authType !== 0 && !entry.deny) lines.push(`authentication: ${AUTH[entry.authType]}`);
  for (const claim of lost) {
    lines.push(...claimLines(`lost (${saidText(claim)})`, claim), `  because ${claim.why}`);
  }
  for (const policy of selectedBy) {
    const { file, line } = policy.position;
    const spec = policy.specIndex === 0 ? '' : ` spec ${policy.specIndex}`;
    lines.push(`in default deny by: ${policy.kind} ${qualified(policy)}${spec} (${file}:${line})`);
  }
  lines.push(...missLines(nearMisses));
  return lines;
}

const AUTH = { 0: 'none', 1: 'required', 2: 'test-always-fail' } as const;

const saidText = ({ deny, parser }: Claim): string => (deny ? 'deny' : parser === undefined ? 'allow' : 'redirect');

export function keyText(key: MapStateKey): string {
  const who = key.identity === 0 ? 'any identity' : `identity ${key.identity}`;
  return `${who}, ${key.protocol === 0 ? 'any protocol' : `${protocolName(key.protocol)}, port ${portText(key)}`}`;
}

/** A rule in each line; what Cilium adds itself has neither peers nor ports. */
function claimLines(word: string, { peers, ports, origins }: Claim): string[] {
  const about = peers === undefined ? '' : `: ${peers} on ${ports}`;
  return uniqueOrigins(origins).map((origin) => `${word}: ${origin}${about}`);
}

/** An entry of a NetworkPolicy is as many rules as it has peers. */
const uniqueOrigins = (origins: readonly RuleOrigin[]): string[] => [...new Set(origins.map(formatOrigin))];

function missLines(misses: readonly NearMiss[]): string[] {
  const lines = misses
    .slice(0, SHOWN_MISSES)
    .map(
      ({ origin, misses }) => `nearest rule: ${formatOrigin(origin)} ${misses.map(({ why }) => why).join('; and ')}`,
    );
  const more = misses.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more that allow other traffic`] : lines;
}

/** What would let a denied flow through. @param endpoint whose policy it is */
export function remedyLines(endpoint: string, { flow, remedy }: FlowExplanation): string[] {
  if (remedy === undefined) return [];
  const direction = flow.egress ? 'egress' : 'ingress';
  switch (remedy.kind) {
    case 'denied':
      return [
        `no allow rule can let this through the ${direction} policy of ${endpoint}; it is denied by:`,
        ...uniqueOrigins(remedy.by).map((origin) => `  ${origin}`),
      ];
    case 'none':
      return [`no rule would let this through the ${direction} policy of ${endpoint}: ${remedy.why}`];
    case 'allow':
      return [
        `the smallest policy that lets this through the ${direction} policy of ${endpoint} (tried: with it, the flow is allowed):`,
        ...besideLines(remedy.suggestion),
        '',
        ...remedy.suggestion.yaml.trimEnd().split('\n'),
      ];
  }
}

/** What a suggestion does besides what was asked for, where the language has no smaller rule. */
function besideLines({ alsoPeers, alsoSubjects, ports }: Suggestion): string[] {
  const lines: string[] = [];
  if (alsoPeers.length > 0) lines.push(`  it also lets through identity ${alsoPeers.join(', ')}`);
  if (alsoSubjects.length > 0) lines.push(`  it is also about the endpoints of identity ${alsoSubjects.join(', ')}`);
  if (ports.protocol === 0) lines.push('  it lets through every protocol: rules have no name for this one');
  else if (ports.first !== ports.last) {
    const last = ports.last === 0xffff ? 'every type' : `ports ${ports.first} to ${ports.last}`;
    lines.push(`  it lets through ${last}: rules cannot name 0 alone`);
  }
  return lines;
}
