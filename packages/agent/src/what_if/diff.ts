import {
  compareReach,
  type PathVerdict,
  pathVerdictText,
  Reachability,
  type Span,
  type VerdictChange,
} from '@ciliate/policy';
import type { ClusterPolicy } from './cluster_policy.ts';
import { type Party, partiesOf } from './parties.ts';
import { type PodChanges, podChanges } from './pod_changes.ts';
import { type ChangeReason, type Reasoning, reasoning } from './reasons.ts';

/** Flows whose verdict changes alike. */
export interface ReachChange {
  /** Each of these, to each of those. */
  readonly from: readonly Party[];
  readonly to: readonly Party[];
  readonly spans: readonly Omit<Span<unknown>, 'value'>[];
  readonly before: PathVerdict;
  readonly after: PathVerdict;
  /** Of the directions in which a policy says something else than before, or says it by other rules. */
  readonly reasons: readonly ChangeReason[];
}

export interface ReachDiff {
  readonly pods: PodChanges;
  readonly changes: readonly ReachChange[];
}

/** Which flows between those who are in both clusters change verdict. */
export function diffReach(before: ClusterPolicy, after: ClusterPolicy): ReachDiff {
  const [old, now] = [new Reachability(), new Reachability()];
  const compare = comparison();
  const parties = partiesOf([before, after]);
  const reason = reasoning(before, after);
  const rows: Row[] = [];
  for (const from of parties) {
    for (const to of parties) {
      const changes = compare(old.between(from.nodes[0]!, to.nodes[0]!), now.between(from.nodes[1]!, to.nodes[1]!));
      if (changes.length > 0) rows.push(...rowsOf(from, to, changes, reason));
    }
  }
  return { pods: podChanges(before, after), changes: compressed(rows) };
}

type Spans = readonly Span<PathVerdict>[];

/** The same two lists, of many pairs, are compared once. */
function comparison(): (before: Spans, after: Spans) => readonly Span<VerdictChange>[] {
  const done = new Map<Spans, Map<Spans, readonly Span<VerdictChange>[]>>();
  return (before, after) => {
    const known = done.get(before)?.get(after);
    if (known !== undefined) return known;
    const changes = compareReach(before, after);
    done.set(before, (done.get(before) ?? new Map()).set(after, changes));
    return changes;
  };
}

interface Row extends Pick<ReachChange, 'spans' | 'before' | 'after' | 'reasons'> {
  readonly from: Party;
  readonly to: Party;
  /** Equal for rows that say the same of other ends. */
  readonly said: string;
}

/** Ports that change alike, and by the same rules, are one row. */
function rowsOf(from: Party, to: Party, changes: readonly Span<VerdictChange>[], reasonOf: Reasoning): Row[] {
  const groups = new Map<string, { change: VerdictChange; reasons: ChangeReason[]; spans: Row['spans'][number][] }>();
  for (const { value: change, ...span } of changes) {
    const reasons = reasonOf(from, to, change);
    const key = JSON.stringify([pathVerdictText(change.before), pathVerdictText(change.after), reasons]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { change, reasons, spans: [span] });
    else group.spans.push(span);
  }
  return [...groups].map(
    ([
      key,
      {
        change: { before, after },
        reasons,
        spans,
      },
    ]) => ({
      from,
      to,
      before,
      after,
      reasons,
      spans,
      said: `${key} ${JSON.stringify(spans)}`,
    }),
  );
}

/** Rows that differ in one end alone are one: first those with the same receiver, then those with the same senders. */
function compressed(rows: readonly Row[]): ReachChange[] {
  const byReceiver = grouped(rows, ({ said, to }) => `${said} ${to.names[0]}`).map((group) => ({
    ...group[0]!,
    senders: group.map(({ from }) => from),
  }));
  const bySenders = grouped(byReceiver, ({ said, senders }) => `${said} ${senders.map(({ names }) => names[0])}`);
  return bySenders.map((group) => {
    const { senders, spans, before, after, reasons } = group[0]!;
    return { from: senders, to: group.map(({ to }) => to), spans, before, after, reasons };
  });
}

function grouped<T>(list: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()];
}
