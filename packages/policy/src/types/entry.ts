import { compareBytes } from '@ciliate/labels';
import type { RuleOrigin } from '../api/rule.ts';
import type { MapStateKey } from './key.ts';
import type { Origins } from './origins.ts';

/** What a map entry can say of the proxy's filter: all parsers of proxylib are one. */
export type EntryParser = 'http' | 'kafka' | 'proxylib' | 'tls' | 'dns' | 'crd';

/** 0 disabled, 1 spire (`required`), 2 test-always-fail; where two meet, the higher one counts. */
export type AuthType = 0 | 1 | 2;

/** Where packets go that a rule hands to the proxy. */
export interface Redirect {
  /**
   * Direction, protocol, first port and listener: `ingress:TCP:80:`. Cilium's proxy id without the endpoint's number.
   * Whoever owns the proxy finds the port by it.
   */
  readonly id: string;
  readonly parser: EntryParser;
  /** `namespace/CiliumEnvoyConfig/listener`; '' for the proxy's own. */
  readonly listener: string;
  /** 128 minus the listener priority (101 for HTTP); 1..127, the higher one wins. */
  readonly priority: number;
}

/** What happens to the packets of a key. Shared by all keys of a selector; never changed. Source: pkg/policy/types/entry.go. */
export interface MapStateValue {
  readonly deny: boolean;
  /** undefined: allowed (or denied) without the proxy. */
  readonly redirect: Redirect | undefined;
  readonly authType: AuthType;
  /** Did a rule about this very key ask for it (even for 0), or was it taken from a broader one? */
  readonly authExplicit: boolean;
  readonly origins: Origins;
}

/** An entry as everybody else sees it. */
export interface MapStateEntry {
  readonly key: MapStateKey;
  readonly deny: boolean;
  /** Allowed, by way of the proxy. */
  readonly redirect: boolean;
  /** {@link Redirect.id} of the redirect that takes the packets; undefined without redirect. */
  readonly filterId: string | undefined;
  readonly parser: EntryParser | undefined;
  /** '' without redirect, and for the proxy's own listeners. */
  readonly listener: string;
  /** 0 without redirect. */
  readonly proxyPortPriority: number;
  readonly authType: AuthType;
  readonly authExplicit: boolean;
  /** The rules that this entry comes from, no rule twice. */
  readonly origins: readonly RuleOrigin[];
}

export const priorityOf = (value: MapStateValue): number => value.redirect?.priority ?? 0;

/** An entry that lets packets through untouched. */
export const allowValue = (origins: Origins): MapStateValue => ({
  deny: false,
  redirect: undefined,
  authType: 0,
  authExplicit: false,
  origins,
});

export function entryOf(key: MapStateKey, value: MapStateValue): MapStateEntry {
  const { deny, redirect, authType, authExplicit } = value;
  return {
    key,
    deny,
    redirect: redirect !== undefined,
    filterId: redirect?.id,
    parser: redirect?.parser,
    listener: redirect?.listener ?? '',
    proxyPortPriority: redirect?.priority ?? 0,
    authType,
    authExplicit,
    get origins() {
      return value.origins.list();
    },
  };
}

/** Would the datapath see the same entry? Origins do not count. */
export function sameForDatapath(a: MapStateValue, b: MapStateValue): boolean {
  return (
    a === b ||
    (a.deny === b.deny &&
      a.authType === b.authType &&
      a.authExplicit === b.authExplicit &&
      priorityOf(a) === priorityOf(b) &&
      compareProxyPorts(a.redirect, b.redirect) === 0)
  );
}

/**
 * Two allows, or two denies, of the same key: the redirect of higher priority stays, and the stronger authentication, of
 * which one asked for outweighs one taken from elsewhere. Source: pkg/policy/types/entry.go, Merge.
 */
export function mergeValues(existing: MapStateValue, added: MapStateValue): MapStateValue {
  const origins = existing.origins.with(added.origins);
  if (existing.deny) return { ...existing, origins };
  const auth = strongerAuth(added, existing) ? added : existing;
  return {
    deny: false,
    redirect: takesPrecedence(added.redirect, existing.redirect) ? added.redirect : existing.redirect,
    authType: auth.authType,
    authExplicit: auth.authExplicit,
    origins,
  };
}

const strongerAuth = (added: MapStateValue, existing: MapStateValue): boolean =>
  added.authExplicit === existing.authExplicit ? added.authType > existing.authType : added.authExplicit;

function takesPrecedence(added: Redirect | undefined, existing: Redirect | undefined): boolean {
  if (added === undefined || existing === undefined) return added !== undefined;
  if (added.priority !== existing.priority) return added.priority > existing.priority;
  return compareProxyPorts(added, existing) < 0;
}

/**
 * At equal priority Cilium takes the lower proxy port. It gives each listener one port, in the order in which they come
 * up; here, so that it depends on nothing else, in the order of the listeners' names.
 */
function compareProxyPorts(a: Redirect | undefined, b: Redirect | undefined): number {
  return a === undefined || b === undefined
    ? Number(a !== undefined) - Number(b !== undefined)
    : compareBytes(a.listener, b.listener);
}
