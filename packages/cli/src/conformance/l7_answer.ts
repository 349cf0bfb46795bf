import { compareBytes } from '@ciliate/labels';
import type { RedirectFilter } from '@ciliate/policy';
import { isObject } from './fields.ts';

/**
 * The L7 filters of an endpoint in a form that can be compared: for each filter and identity ('*' for everybody) the set
 * of what its selectors say. Selectors that select the same identities are in no order, and may be written otherwise.
 */
export type L7Answer = readonly { filter: string; peer: number | '*'; rules: readonly string[] }[];

/** A selector of a filter, as both sides have it. */
interface Selector {
  wildcard: boolean;
  identities: readonly number[];
  /** All the rest. */
  says: Readonly<Record<string, unknown>>;
}

export const l7Answer = (filters: readonly RedirectFilter[]): L7Answer =>
  filters.flatMap(({ direction, protocol, port, endPort, portName, selectors }) =>
    byPeer(
      nameOf({ direction, protocol, port, endPort, portName }),
      selectors.map(({ wildcard, identities, deny, parser, listener, priority, serverNames, l7, authentication }) => {
        const { http, dns, kafka } = l7;
        const parsed = { deny, parser, listener, priority, serverNames, http, dns, kafka, l7: l7.l7 };
        return { wildcard, identities, says: { ...parsed, auth: authentication ?? '' } };
      }),
    ),
  );

/** The same of the published form. @returns undefined if it has another shape */
export function publishedL7(filters: unknown): L7Answer | undefined {
  if (!Array.isArray(filters) || !filters.every(isObject)) return undefined;
  return filters.flatMap(({ selectors, ...filter }) =>
    byPeer(
      nameOf(filter),
      (Array.isArray(selectors) ? selectors.filter(isObject) : []).map(({ wildcard, identities, ...says }) => ({
        wildcard: wildcard === true,
        identities: Array.isArray(identities) ? identities : [],
        says,
      })),
    ),
  );
}

const nameOf = ({ direction, protocol, portName, port, endPort }: Record<string, unknown>): string =>
  JSON.stringify({ direction, protocol, portName, port, endPort });

function byPeer(filter: string, selectors: readonly Selector[]): L7Answer {
  const rules = new Map<number | '*', Set<string>>();
  for (const { wildcard, identities, says } of selectors) {
    const text = canonical(says);
    for (const peer of wildcard ? (['*'] as const) : identities) {
      const known = rules.get(peer);
      if (known === undefined) rules.set(peer, new Set([text]));
      else known.add(text);
    }
  }
  return [...rules]
    .map(([peer, texts]) => ({ filter, peer, rules: [...texts].sort(compareBytes) }))
    .sort((a, b) => compareBytes(`${a.peer}`, `${b.peer}`));
}

/** Lists as sets; without what is empty, which may as well be absent. */
function canonical(says: Readonly<Record<string, unknown>>): string {
  const lists = Object.entries(says).map(([name, value]) => [name, Array.isArray(value) ? asSet(value) : value]);
  return JSON.stringify(withoutEmpty(Object.fromEntries(lists)));
}

const asSet = (list: readonly unknown[]): unknown[] =>
  [...new Set(list.map((item) => JSON.stringify(withoutEmpty(item))))]
    .sort(compareBytes)
    .map((text) => JSON.parse(text));

function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (!isObject(value)) return value;
  const kept = Object.entries(value)
    .filter(([, member]) => !isEmpty(member))
    .map(([name, member]) => [name, withoutEmpty(member)] as const);
  return Object.fromEntries(kept.sort(([a], [b]) => compareBytes(a, b)));
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
