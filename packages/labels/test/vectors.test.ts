import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  ciliumKey,
  EndpointSelector,
  filterIdentityLabels,
  formatLabel,
  Labels,
  parseLabel,
  type SelectorSource,
} from '../src/index.ts';
import { extendedKey, formatLabelForKvstore, parseExtendedKey } from '../src/label.ts';

// Printed by the real pkg/labels, policy/api and labelsfilter; nothing in these files was written by hand.
const fixture = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'));

interface ParseVector {
  in: string;
  source: string;
  key: string;
  value: string;
  string: string;
  kv_format: string;
  extended_key: string;
  get_extended_key_from: string;
  cilium_key_from: string;
  select_source: string;
}

test.each(fixture('parse_label') as ParseVector[])('parse $in', (vector) => {
  const label = parseLabel(vector.in);
  expect(label).toEqual({ source: vector.source, key: vector.key, value: vector.value });
  expect(formatLabel(label)).toBe(vector.string);
  expect(formatLabelForKvstore(label)).toBe(vector.kv_format);
  expect(`${label.source}.${label.key}`).toBe(vector.extended_key);
  expect(extendedKey(vector.in)).toBe(vector.get_extended_key_from);
  expect(ciliumKey(vector.in)).toBe(vector.cilium_key_from);
  expect(parseExtendedKey(vector.extended_key).source).toBe(vector.select_source);
});

interface SortedListVector {
  labels_in_order: string[];
  sorted_list: string;
  roundtrip_equal: boolean;
}
test.each(fixture('sorted_list') as SortedListVector[])('sorted list $sorted_list', (vector) => {
  const labels = Labels.parse(vector.labels_in_order);
  expect(labels.sortedList()).toBe(vector.sorted_list);
  expect(Labels.fromSortedList(vector.sorted_list).equals(labels)).toBe(vector.roundtrip_equal);
});

interface FilterVector {
  label: string;
  identity_relevant: boolean;
}
test.each(fixture('default_identity_label_filter') as FilterVector[])('filter $label', (vector) => {
  expect(filterIdentityLabels(Labels.parse([vector.label])).size === 1).toBe(vector.identity_relevant);
});

interface SelectorVector {
  selector: string;
  marshalled: string;
  is_wildcard: boolean;
  results: { labels: string[] | null; match: boolean }[];
}
// Matching on `cidr:` labels is by containment and comes with CIDR labels.
const selectors = (fixture('selectors') as SelectorVector[]).filter((vector) => !vector.selector.includes('cidr:'));

describe.each(selectors)('selector $selector', (vector) => {
  const source = { matchLabels: {}, matchExpressions: [], ...JSON.parse(vector.selector) } as SelectorSource;
  const expressions = source.matchExpressions.map((expression) => ({ ...expression, values: expression.values ?? [] }));
  const selector = EndpointSelector.parse({ ...source, matchExpressions: expressions });

  test('its canonical text is what Cilium prints', () => {
    expect(selector.key).toBe(vector.marshalled);
    expect(selector.isWildcard).toBe(vector.is_wildcard);
  });

  test.each(vector.results)('$labels: $match', ({ labels, match }) => {
    expect(selector.matches(Labels.parse(labels ?? []))).toBe(match);
  });
});

test('only the three selectors about CIDR are left out', () => {
  expect((fixture('selectors') as SelectorVector[]).length - selectors.length).toBe(3);
});
