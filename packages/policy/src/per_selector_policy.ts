import type { AuthenticationMode, L7Rules, PortRule, TLSContext } from './api/rule.ts';
import { PolicyConflictError } from './conflict.ts';
import {
  defaultPriority,
  ensureWildcard,
  hasRules,
  type L7Parser,
  mergeParsers,
  mergeRules,
  NO_L7,
  parserOf,
  sameRules,
  withWildcard,
} from './l7.ts';
import type { FilterProtocol } from './protocols.ts';

/**
 * What a selector's peers are held to beyond L4; where a filter has `null` instead it is a plain allow.
 * Source: pkg/policy/l4.go, PerSelectorPolicy.
 */
export interface PerSelectorPolicy {
  readonly deny: boolean;
  readonly parser: L7Parser;
  /** The smaller one wins; 0 without a parser. */
  readonly priority: number;
  /** `namespace/CiliumEnvoyConfig/listener`, or ''. */
  readonly listener: string;
  readonly l7: L7Rules;
  readonly terminatingTLS: TLSContext | undefined;
  readonly originatingTLS: TLSContext | undefined;
  /** Sorted; empty: not looked at. */
  readonly serverNames: readonly string[];
  readonly authentication: AuthenticationMode | undefined;
}

const EMPTY: PerSelectorPolicy = {
  deny: false,
  parser: '',
  priority: 0,
  listener: '',
  l7: NO_L7,
  terminatingTLS: undefined,
  originatingTLS: undefined,
  serverNames: [],
  authentication: undefined,
};

const DENY: PerSelectorPolicy = { ...EMPTY, deny: true };

export interface PeerPolicySource {
  /** undefined: the rule names no ports. */
  readonly portRule: PortRule | undefined;
  readonly protocol: FilterProtocol;
  readonly deny: boolean;
  readonly authentication: AuthenticationMode | undefined;
  /** Of the endpoint that the policy is for: listeners are looked for there. '' if it has none. */
  readonly namespace: string;
  /** Is what no rule allows dropped in this direction? If not, L7 rules must not drop either. */
  readonly defaultDeny: boolean;
}

/**
 * What one port rule asks of its peers.
 * @throws PolicyConflictError for a listener that an endpoint without a namespace cannot have
 * Source: pkg/policy/l4.go, createL4Filter.
 */
export function perSelectorPolicyOf(source: PeerPolicySource): PerSelectorPolicy | null {
  const { portRule, protocol, deny, authentication, namespace, defaultDeny } = source;
  if (deny) return DENY;
  if (portRule === undefined) return authentication === undefined ? null : { ...EMPTY, authentication };
  const parser = parserOf(portRule, protocol);
  const listener = listenerOf(portRule, namespace);
  if (parser === '' && authentication === undefined) return null;
  const l7 = portRule.l7 ?? NO_L7;
  return {
    deny: false,
    parser,
    priority: portRule.listener?.priority || defaultPriority(parser),
    listener,
    l7: hasRules(l7) && !defaultDeny ? ensureWildcard(l7, parser) : l7,
    terminatingTLS: portRule.terminatingTLS,
    originatingTLS: portRule.originatingTLS,
    serverNames: [...new Set(portRule.serverNames)].sort(),
    authentication,
  };
}

/** Source: pkg/policy/api/utils.go, ResourceQualifiedName. */
function listenerOf({ listener }: PortRule, subjectNamespace: string): string {
  if (listener === undefined) return '';
  const { envoyConfig, name } = listener;
  if (envoyConfig?.kind === 'CiliumEnvoyConfig' && subjectNamespace === '') {
    throw new PolicyConflictError(
      `listener "${name}" is in a CiliumEnvoyConfig, but the endpoint has no namespace to look for it in`,
    );
  }
  const namespace = envoyConfig?.kind === 'CiliumClusterwideEnvoyConfig' ? '' : subjectNamespace;
  const qualified = name === '' || (name.includes('/') && name.slice(0, name.indexOf('/')) === namespace);
  return qualified ? name : `${namespace}/${envoyConfig?.name ?? ''}/${name}`;
}

export function samePolicy(a: PerSelectorPolicy | null, b: PerSelectorPolicy | null): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  return (
    a.deny === b.deny &&
    a.parser === b.parser &&
    a.priority === b.priority &&
    a.listener === b.listener &&
    a.authentication === b.authentication &&
    sameTLS(a.terminatingTLS, b.terminatingTLS) &&
    sameTLS(a.originatingTLS, b.originatingTLS) &&
    a.serverNames.join() === b.serverNames.join() &&
    sameRules(a.l7, b.l7)
  );
}

/**
 * What two rules say about the same peers and port.
 * @throws PolicyConflictError if they cannot both be had: the endpoint then keeps the policy it has
 * Source: pkg/policy/rule.go, mergePortProto.
 */
export function mergePolicies(
  known: PerSelectorPolicy | null,
  added: PerSelectorPolicy | null,
): PerSelectorPolicy | null {
  if (samePolicy(known, added)) return known;
  if (known?.deny) return known;
  if (added?.deny) return added;
  const a = known ?? EMPTY;
  const b = added ?? EMPTY;
  const redirect = mergeRedirects(a, b);
  const terminatingTLS = oneOf('terminating TLS contexts', a.terminatingTLS, b.terminatingTLS);
  const serverNames = [...new Set([...a.serverNames, ...b.serverNames])].sort();
  if (serverNames.length > 0 && hasRules(a.l7) && terminatingTLS === undefined) {
    throw new PolicyConflictError(
      'L7 rules and TLS server names need TLS to be terminated before they can stand together',
    );
  }
  return {
    deny: false,
    ...redirect,
    authentication: oneOf('authentication modes', a.authentication, b.authentication),
    terminatingTLS,
    originatingTLS: oneOf('originating TLS contexts', a.originatingTLS, b.originatingTLS),
    serverNames,
    l7: mergeL7(a.l7, b.l7),
  };
}

/** No rules mean that everything passes: beside rules, that has to be said. */
function mergeL7(a: L7Rules, b: L7Rules): L7Rules {
  if (!hasRules(a) && hasRules(b)) return withWildcard(b);
  if (hasRules(a) && !hasRules(b)) return withWildcard(a);
  return mergeRules(a, b);
}

type RedirectPart = Pick<PerSelectorPolicy, 'parser' | 'priority' | 'listener'>;

/** Source: pkg/policy/rule.go, mergeRedirect. */
function mergeRedirects(a: RedirectPart, b: RedirectPart): RedirectPart {
  const parser = mergeParsers(a.parser, b.parser);
  if (parser === undefined)
    throw new PolicyConflictError(`parsers ${a.parser} and ${b.parser} cannot both look at the same traffic`);
  const priority = parser === a.parser ? a.priority : b.priority;
  const known = { parser, priority, listener: a.listener };
  if (b.listener === '' || (b.listener === a.listener && b.priority === priority)) return known;
  if (beats(priority, b.priority)) return known;
  if (a.listener === '' || beats(b.priority, priority)) return { parser, priority: b.priority, listener: b.listener };
  throw new PolicyConflictError(`listeners ${a.listener} and ${b.listener} have the same priority, ${priority}`);
}

/** The smaller number is the higher priority, 0 the lowest of all. */
const beats = (a: number, b: number): boolean => (a || 256) < (b || 256);

function oneOf<T extends AuthenticationMode | TLSContext>(
  what: string,
  a: T | undefined,
  b: T | undefined,
): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const same = typeof a === 'object' && typeof b === 'object' ? sameTLS(a, b) : a === b;
  if (same) return a;
  throw new PolicyConflictError(`two ${what} for the same traffic: ${nameOf(a)} and ${nameOf(b)}`);
}

const nameOf = (one: AuthenticationMode | TLSContext): string =>
  typeof one === 'string' ? one : `secret ${one.secret?.namespace ?? ''}/${one.secret?.name ?? ''}`;

function sameTLS(a: TLSContext | undefined, b: TLSContext | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const { secret, trustedCA, certificate, privateKey } = a;
  return (
    secret?.name === b.secret?.name &&
    secret?.namespace === b.secret?.namespace &&
    trustedCA === b.trustedCA &&
    certificate === b.certificate &&
    privateKey === b.privateKey
  );
}
