import type { HeaderLog } from './header_match.ts';
import type { CompiledPolicy } from './network_policy.ts';
import type { FilterVerdict } from './port_rules.ts';
import type { RequestHeaderMap } from './request_header_map.ts';

const DENIED: FilterVerdict = { allowed: false, matchedRule: undefined };

/** Who asks, and about which port. */
export interface Asked {
  readonly remoteIdentity: number;
  readonly port: number;
  /** Does the identity come to the endpoint, or the endpoint go to it? Absent: it comes. */
  readonly ingress?: boolean;
}

/**
 * May this identity open a connection to the port at all? If not, the connection is reset.
 *
 * 1. No entry about the port, nor about every port: denied. 2. An entry without rules: allowed.
 * 3. Else some rule must be about the identity; what it says about requests does not count here.
 *
 * Source: cilium/network_filter.cc, network_policy.cc. Not modelled: server names, deny and pass verdicts, proxy ids.
 */
export const allowedAtNetwork = (
  policy: CompiledPolicy | undefined,
  { remoteIdentity, port, ingress }: Asked,
): FilterVerdict => policy?.onPort(port, ingress).connection(remoteIdentity) ?? DENIED;

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
 * @param policy undefined: withdrawn since the connection was opened
 * @param headers changed by actions, whatever the answer @param log gets what actions noticed
 * Source: cilium/l7policy.cc, network_policy.cc.
 */
export const allowed = (
  policy: CompiledPolicy | undefined,
  headers: RequestHeaderMap,
  log: HeaderLog,
  { remoteIdentity, port, ingress }: Asked,
): FilterVerdict => policy?.onPort(port, ingress).request(remoteIdentity, headers, log) ?? DENIED;
