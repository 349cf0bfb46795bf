import type { EndpointPolicy } from '../endpoint_policy.ts';
import type { AuthType } from '../types/entry.ts';
import { SideReach, type SideVerdict } from './side.ts';
import { overlay, REACH_PROTOCOLS, type Span } from './spans.ts';

/** Somebody who sends and receives. */
export interface ReachNode {
  readonly identity: number;
  /** undefined: nobody enforces a policy for him here, as for the world and for the node. */
  readonly policy: EndpointPolicy | undefined;
}

/** What becomes of a flow from end to end. */
export interface PathVerdict {
  /** `redirect`: allowed by way of a proxy, whose rules decide about requests. */
  readonly verdict: 'allow' | 'redirect' | 'deny';
  /** The stronger one that a side asks for; not 0: dropped until both ends have authenticated. */
  readonly authType: AuthType;
  /** Of the sender; undefined if it has no policy. */
  readonly egress: SideVerdict | undefined;
  /** Of the receiver; undefined if it has no policy. */
  readonly ingress: SideVerdict | undefined;
}

/** Equal for verdicts that nobody who only sends and receives can tell apart, whatever rules they come from. */
export function pathVerdictText({ verdict, authType, egress, ingress }: PathVerdict): string {
  if (verdict === 'deny') return verdict;
  const l7 = [egress, ingress].map((side) => {
    if (side?.verdict !== 'redirect') return '';
    return JSON.stringify([side.parser, side.listener, side.l7]);
  });
  return `${verdict} ${authType} ${l7.join(' ')}`;
}

/** Who reaches whom on what: both directions of policy together, exact for all ports. */
export class Reachability {
  readonly #sides = new Map<EndpointPolicy, { egress: SideReach; ingress: SideReach }>();
  readonly #paths = new Map<readonly Span<unknown>[], Map<readonly Span<unknown>[], readonly Span<PathVerdict>[]>>();

  /** Spans for all ports of all protocols. The same list for pairs of which both policies say the same. */
  between(from: ReachNode, to: ReachNode): readonly Span<PathVerdict>[] {
    const egress = from.policy === undefined ? NO_POLICY : this.#sidesOf(from.policy).egress.spans(to.identity);
    const ingress = to.policy === undefined ? NO_POLICY : this.#sidesOf(to.policy).ingress.spans(from.identity);
    let byIngress = this.#paths.get(egress);
    if (byIngress === undefined) {
      byIngress = new Map();
      this.#paths.set(egress, byIngress);
    }
    let path = byIngress.get(ingress);
    if (path === undefined) {
      path = pathOf(egress, ingress);
      byIngress.set(ingress, path);
    }
    return path;
  }

  #sidesOf(policy: EndpointPolicy): { egress: SideReach; ingress: SideReach } {
    let sides = this.#sides.get(policy);
    if (sides === undefined) {
      sides = { egress: new SideReach(policy, true), ingress: new SideReach(policy, false) };
      this.#sides.set(policy, sides);
    }
    return sides;
  }
}

type Side = SideVerdict | undefined;
const NO_POLICY: readonly Span<Side>[] = REACH_PROTOCOLS.map(({ protocol, last }) => ({
  protocol,
  first: 0,
  last,
  value: undefined,
}));

function pathOf(egress: readonly Span<Side>[], ingress: readonly Span<Side>[]): Span<PathVerdict>[] {
  const made = new Map<Side, Map<Side, PathVerdict>>();
  return overlay(egress, ingress, (out, into) => {
    const known = made.get(out)?.get(into);
    if (known !== undefined) return known;
    const path = joined(out, into);
    made.set(out, (made.get(out) ?? new Map()).set(into, path));
    return path;
  });
}

function joined(egress: Side, ingress: Side): PathVerdict {
  const sides = [egress, ingress].filter((side) => side !== undefined);
  const denied = sides.some(({ verdict }) => verdict === 'deny' || verdict === 'drop');
  const redirected = sides.some(({ verdict }) => verdict === 'redirect');
  return {
    verdict: denied ? 'deny' : redirected ? 'redirect' : 'allow',
    authType: denied ? 0 : (Math.max(0, ...sides.map(({ authType }) => authType)) as AuthType),
    egress,
    ingress,
  };
}
