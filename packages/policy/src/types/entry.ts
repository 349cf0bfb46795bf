import type { RuleOrigin } from '../api/rule.ts';
import type { L7Parser } from '../l4.ts';
import type { MapStateKey } from './key.ts';

/** What happens to the packets of a key. Source: pkg/policy/types/entry.go. */
export interface MapStateValue {
  readonly deny: boolean;
  /** Allowed, by way of the proxy. The port is the agent's: it looks it up by `filterId`. */
  readonly redirect: boolean;
  /** The redirect that takes the packets; undefined without redirect. */
  readonly filterId: string | undefined;
  readonly parser: L7Parser | undefined;
  /** 128 minus the listener priority (101 for HTTP); 0 without redirect. The higher one wins. */
  readonly proxyPortPriority: number;
  /** 0, disabled: rules that ask for authentication are refused for now. */
  readonly authType: 0;
  readonly authExplicit: false;
  /** The rules that this entry comes from, no rule twice. */
  readonly origins: readonly RuleOrigin[];
}

export interface MapStateEntry extends MapStateValue {
  readonly key: MapStateKey;
}

/** An entry that lets packets through untouched. */
export function allowEntry(origins: readonly RuleOrigin[]): MapStateValue {
  return {
    deny: false,
    redirect: false,
    filterId: undefined,
    parser: undefined,
    proxyPortPriority: 0,
    authType: 0,
    authExplicit: false,
    origins,
  };
}

/** Would the datapath see the same entry? Origins do not count. */
export function sameForDatapath(a: MapStateValue, b: MapStateValue): boolean {
  return a.deny === b.deny && a.filterId === b.filterId && a.proxyPortPriority === b.proxyPortPriority;
}

/** Two allows, or two denies, of the same key: the redirect of higher priority stays. */
export function mergeEntries(existing: MapStateValue, added: MapStateValue): MapStateValue {
  const winner = added.proxyPortPriority > existing.proxyPortPriority ? added : existing;
  return { ...winner, origins: unionOrigins(existing.origins, added.origins) };
}

export function unionOrigins(a: readonly RuleOrigin[], b: readonly RuleOrigin[]): readonly RuleOrigin[] {
  const missing = b.filter((origin) => !a.includes(origin));
  return missing.length === 0 ? a : [...a, ...missing];
}
