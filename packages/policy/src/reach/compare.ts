import { type PathVerdict, pathVerdictText } from './reachability.ts';
import { overlay, type Span } from './spans.ts';

/** What a flow's verdict was, and is. */
export interface VerdictChange {
  readonly before: PathVerdict;
  readonly after: PathVerdict;
}

/**
 * The ports on which a verdict changes: allow, deny, redirect, its L7 rules, authentication. That a denied flow is denied
 * by another rule is no change. Neighbouring ports that change alike, and by the same rules, are one span.
 */
export function compareReach(
  before: readonly Span<PathVerdict>[],
  after: readonly Span<PathVerdict>[],
): Span<VerdictChange>[] {
  const changes = new Map<PathVerdict, Map<PathVerdict, VerdictChange | undefined>>();
  const changeOf = (from: PathVerdict, to: PathVerdict): VerdictChange | undefined => {
    const known = changes.get(from);
    if (known?.has(to)) return known.get(to);
    const change = pathVerdictText(from) === pathVerdictText(to) ? undefined : { before: from, after: to };
    changes.set(from, (known ?? new Map()).set(to, change));
    return change;
  };
  return overlay(before, after, changeOf).flatMap(({ value, ...span }) =>
    value === undefined ? [] : [{ ...span, value }],
  );
}
