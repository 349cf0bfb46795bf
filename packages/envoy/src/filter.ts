import type { HeaderLog } from './header_match.ts';
import type { CompiledPolicy, CompiledPorts, CompiledRule } from './network_policy.ts';
import type { RequestHeaderMap } from './request_header_map.ts';

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
 * have an HTTP rule all of whose matchers match and whose header actions let it pass.
 *
 * The first rule that allows ends it, unless some rule has header actions: then all rules about the identity are asked,
 * so that all their actions are done.
 *
 * @param headers changed by actions, whatever the answer @param log gets what actions noticed
 * Source: cilium/l7policy.cc, network_policy.cc.
 */
export function allowed(
  policy: CompiledPolicy | undefined,
  headers: RequestHeaderMap,
  log: HeaderLog,
  { remoteIdentity, port }: { remoteIdentity: number; port: number },
): FilterVerdict {
  if (policy === undefined) return DENIED; // withdrawn since the connection was opened
  const entries = policy.onPort(port);
  if (!entries.some(({ rules }) => rules.some(({ http }) => http !== undefined))) {
    const verdict = decide(entries, (rule) => isAbout(rule, remoteIdentity));
    return verdict.allowed ? verdict : ALLOWED_BY_NO_RULE;
  }
  const allows = (rule: CompiledRule) => isAbout(rule, remoteIdentity) && (rule.http?.(headers, log) ?? true);
  const acting = entries.some(({ rules }) => rules.some(({ hasActions }) => hasActions));
  return decide(entries, allows, acting);
}

const isAbout = ({ remotes }: CompiledRule, identity: number): boolean => remotes?.has(identity) ?? true;

/** @param all ask every rule, also after one that allows */
function decide(
  entries: readonly CompiledPorts[],
  allows: (rule: CompiledRule) => boolean,
  all = false,
): FilterVerdict {
  let verdict: FilterVerdict | undefined;
  for (const { rules } of entries) {
    for (const rule of rules) {
      if (!allows(rule)) continue;
      verdict ??= { allowed: true, matchedRule: rule.name };
      if (!all) return verdict;
    }
  }
  return verdict ?? (entries.some(({ rules }) => rules.length === 0) ? ALLOWED_BY_NO_RULE : DENIED);
}
