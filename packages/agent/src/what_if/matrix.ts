import { type PathVerdict, pathVerdictText, Reachability, type Span } from '@ciliate/policy';
import type { ClusterPolicy } from './cluster_policy.ts';
import { type Party, partiesOf } from './parties.ts';

/** Flows between two parties that fare alike. */
export interface MatrixFlow {
  readonly spans: readonly Omit<Span<unknown>, 'value'>[];
  readonly verdict: PathVerdict;
}

export interface MatrixCell {
  readonly from: Party;
  readonly to: Party;
  /** Not empty: what is denied is one of them. */
  readonly flows: readonly MatrixFlow[];
}

/** Who may be asked for: a party of which some names count. */
export type PartyFilter = (name: string) => boolean;

/** Who reaches whom on what. Pairs of which neither has a policy here are left out. */
export function reachMatrix(cluster: ClusterPolicy, isFrom: PartyFilter, isTo: PartyFilter): MatrixCell[] {
  const reach = new Reachability();
  const parties = partiesOf([cluster]);
  const [froms, tos] = [isFrom, isTo].map((wanted) => parties.flatMap((party) => named(party, wanted)));
  return tos!.flatMap((to) =>
    froms!.flatMap((from) => {
      const [sender, receiver] = [from.nodes[0]!, to.nodes[0]!];
      if (sender.policy === undefined && receiver.policy === undefined) return [];
      return [{ from, to, flows: flowsOf(reach.between(sender, receiver)) }];
    }),
  );
}

function named(party: Party, wanted: PartyFilter): Party[] {
  const names = party.names.filter(wanted);
  return names.length === 0 ? [] : [{ ...party, names }];
}

function flowsOf(spans: readonly Span<PathVerdict>[]): MatrixFlow[] {
  const found = new Map<string, { spans: Omit<Span<unknown>, 'value'>[]; verdict: PathVerdict }>();
  for (const { value: verdict, ...span } of spans) {
    const key = pathVerdictText(verdict);
    const flow = found.get(key);
    if (flow === undefined) found.set(key, { spans: [span], verdict });
    else flow.spans.push(span);
  }
  return [...found.values()];
}
