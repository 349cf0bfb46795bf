import type { PolicyRequest } from './matcher.ts';
import type { CompiledPolicy, CompiledPorts, CompiledRule } from './network_policy.ts';

/** A decision, and the name of the rule that allowed; undefined if none did, or if policy allows without a rule. */
export interface FilterVerdict {
  readonly allowed: boolean;
  readonly matchedRule: string | undefined;
}

const DENIED: FilterVerdict = { allowed: false, matchedRule: undefined };
const ALLOWED_BY_NO_RULE: FilterVerdict = { allowed: true, matchedRule: undefined };

/**
 * May this identity open a connection to the port at all? If not, the connection is reset.
 *
 * 1. No entry about the port, nor about every port: denied. 2. An entry without rules: allowed.
 * 3. Else some rule must be about the identity; what it says about requests does not count here.
 *
 * Source: cilium/network_filter.cc, network_policy.cc. Not modelled: server names, deny and pass verdicts, proxy ids.
 */
export function allowedAtNetwork(
  policy: CompiledPolicy | undefined,
  remoteIdentity: number,
  port: number,
): FilterVerdict {
  return decide(policy?.onPort(port) ?? [], (rule) => isAbout(rule, remoteIdentity));
}

/**
 * May this identity make this request? If not, it is answered with 403.
 *
 * 1. If no rule for the port is about HTTP, every request passes: the network stage has decided.
 * 2. An entry without rules: allowed. 3. Else some rule must be about the identity, and either say nothing about HTTP or
 * have an HTTP rule all of whose matchers match.
 *
 * Source: cilium/l7policy.cc, network_policy.cc. Not modelled: header matches and their actions, so the first allow ends it.
 */
export function allowed(
  policy: CompiledPolicy | undefined,
  request: PolicyRequest,
  remoteIdentity: number,
  port: number,
): FilterVerdict {
  if (policy === undefined) return DENIED; // withdrawn since the connection was opened
  const entries = policy.onPort(port);
  if (!entries.some(({ rules }) => rules.some(({ http }) => http !== undefined))) {
    const verdict = decide(entries, (rule) => isAbout(rule, remoteIdentity));
    return verdict.allowed ? verdict : ALLOWED_BY_NO_RULE;
  }
  return decide(
    entries,
    (rule) => isAbout(rule, remoteIdentity) && (rule.http?.some((matches) => matches(request)) ?? true),
  );
}

const isAbout = ({ remotes }: CompiledRule, identity: number): boolean => remotes?.has(identity) ?? true;

function decide(entries: readonly CompiledPorts[], allows: (rule: CompiledRule) => boolean): FilterVerdict {
  for (const { rules } of entries) {
    const rule = rules.find(allows);
    if (rule !== undefined) return { allowed: true, matchedRule: rule.name };
  }
  return entries.some(({ rules }) => rules.length === 0) ? ALLOWED_BY_NO_RULE : DENIED;
}
