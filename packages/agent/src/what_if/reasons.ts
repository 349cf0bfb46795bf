import { formatOrigin, type PolicyRepository, qualified, type SideVerdict, type VerdictChange } from '@ciliate/policy';
import type { ClusterPolicy } from './cluster_policy.ts';
import type { Party, PartyNode } from './parties.ts';

/** In words: the verdict of one side, and by which rules. */
export interface ChangeReason {
  readonly direction: 'egress' | 'ingress';
  readonly before: string;
  readonly after: string;
}

export type Reasoning = (from: Party, to: Party, change: VerdictChange) => ChangeReason[];

/** Why verdicts between two clusters change. */
export function reasoning(before: ClusterPolicy, after: ClusterPolicy): Reasoning {
  const selecting = [before, after].map(({ repository }) => {
    const known = new Map<string, string>();
    return ({ names, nodes }: Party, at: 0 | 1, direction: 'egress' | 'ingress'): string => {
      const key = `${direction} ${names[0]}`;
      const text = known.get(key) ?? selectingText(repository, nodes[at]!, direction);
      known.set(key, text);
      return text;
    };
  });
  return (from, to, change) =>
    (['egress', 'ingress'] as const).flatMap((direction) => {
      const party = direction === 'egress' ? from : to;
      const [was, is] = ([0, 1] as const).map((at) => {
        const side = (at === 0 ? change.before : change.after)[direction];
        return side && sideText(side, () => selecting[at]!(party, at, direction));
      });
      return was === is ? [] : [{ direction, before: was ?? NO_POLICY, after: is ?? NO_POLICY }];
    });
}

const NO_POLICY = 'no policy here';
/** Each of them is enough for default deny. */
const SHOWN_POLICIES = 2;

/** @param selecting asked for a drop: which policies are to blame */
function sideText({ verdict, origins }: SideVerdict, selecting: () => string): string {
  if (verdict === 'drop') return `no rule allows it${selecting()}`;
  return `${verdict} by ${[...new Set(origins.map(formatOrigin))].join('; ')}`;
}

function selectingText(repository: PolicyRepository, node: PartyNode, direction: 'egress' | 'ingress'): string {
  if (node.labels === undefined) return '';
  const policies = repository.policiesSelecting({ identity: node.identity, labels: node.labels }, direction);
  const texts = policies.map(({ position: { file, line }, ...policy }) => {
    return `${policy.kind} ${qualified(policy)} (${file}:${line})`;
  });
  if (texts.length === 0) return '';
  const more = texts.length - SHOWN_POLICIES;
  const shown = texts.slice(0, SHOWN_POLICIES).join(', ');
  return `; in default deny by ${more > 0 ? `${shown} and ${more} more` : shown}`;
}
