import {
  cidrLabelOfText,
  IdentityError,
  labelsOfPolicyPrefix,
  parseAddress,
  parsePrefix,
  worldLabel,
} from '@ciliate/identity';
import { ciliumKey, EndpointSelector, filterIdentityLabels, formatLabel, Labels, parseLabel } from '@ciliate/labels';
import type { Command } from 'commander';
import { Fields, isObject } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

export function labelsSet(): Command {
  const description = 'labels of prefixes, texts of labels, selectors, and the labels that make an identity';
  return setCommand('labels', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file);
    tally.case();
    for (const vector of facts.all('cidr_labels')) checkCidrLabels(vector, file, tally);
    for (const vector of facts.all('ip_string_to_label')) checkAddress(vector, file, tally);
    for (const vector of facts.all('parse_label')) checkParse(vector, file, tally);
    for (const vector of facts.all('sorted_list')) checkSortedList(vector, file, tally);
    for (const vector of facts.all('selectors')) checkSelector(vector, file, tally);
    for (const vector of facts.all('default_identity_label_filter')) {
      const label = vector.text('label');
      const ours = filterIdentityLabels(Labels.parse([label])).size === 1;
      tally.check('identity filter', `${file}: ${label}`, ours, vector.raw('identity_relevant'));
    }
  });
}

function checkCidrLabels(vector: Fields, file: string, tally: Tally): void {
  // The bits after the prefix stay in the label, should anybody pass them.
  const text = vector.text('prefix');
  const prefix = { ...parsePrefix(text), ...parseAddress(text.slice(0, text.lastIndexOf('/'))) };
  const world = worldLabel(prefix.family, vector.oneOf('mode', 'dual', 'v4only', 'v6only') === 'dual');
  const labels = Labels.of([...labelsOfPolicyPrefix(prefix), world]);
  const theirs = { labels_sorted: vector.raw('labels_sorted'), sorted_list: vector.raw('sorted_list') };
  const ours = { labels_sorted: labels.toStrings(), sorted_list: labels.sortedList() };
  tally.check('cidr labels', `${file}: ${text}`, ours, theirs);
}

function checkAddress(vector: Fields, file: string, tally: Tally): void {
  const text = vector.text('in');
  let ours: object;
  try {
    const label = cidrLabelOfText(text);
    ours = { label: formatLabel(label), extended_key: `${label.source}.${label.key}` };
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    ours = REFUSED;
  }
  const said = { label: vector.raw('label'), extended_key: vector.raw('extended_key') };
  tally.check('label of an address', `${file}: ${text}`, ours, vector.has('error') ? REFUSED : said);
}

const REFUSED = { refused: true };

function checkParse(vector: Fields, file: string, tally: Tally): void {
  const text = vector.text('in');
  const label = parseLabel(text);
  const { source, key, value } = label;
  const [selectorKey] = EndpointSelector.parse({
    matchLabels: { [text]: '' },
    matchExpressions: [],
  }).matchLabels.keys();
  const isAny = EndpointSelector.ofLabels(label).matches(Labels.of([{ source: 'other', key, value }]));
  const ours = {
    source,
    key,
    value,
    string: formatLabel(label),
    kv_format: Labels.of([label]).sortedList(),
    extended_key: `${source}.${key}`,
    get_extended_key_from: selectorKey,
    cilium_key_from: ciliumKey(text),
    select_source: isAny ? 'any' : source,
  };
  const theirs = Object.fromEntries(Object.keys(ours).map((name) => [name, vector.raw(name)]));
  tally.check('parse', `${file}: ${text}`, ours, theirs);
}

function checkSortedList(vector: Fields, file: string, tally: Tally): void {
  const labels = Labels.parse(vector.texts('labels_in_order'));
  const list = labels.sortedList();
  const ours = { sorted_list: list, roundtrip_equal: Labels.fromSortedList(list).equals(labels) };
  const theirs = { sorted_list: vector.raw('sorted_list'), roundtrip_equal: vector.raw('roundtrip_equal') };
  tally.check('sorted list', `${file}: ${list}`, ours, theirs);
}

function checkSelector(vector: Fields, file: string, tally: Tally): void {
  const text = vector.text('selector');
  const place = `${file}: ${text}`;
  const selector = EndpointSelector.parse(selectorSource(vector));
  const theirs = { marshalled: vector.raw('marshalled'), is_wildcard: vector.raw('is_wildcard') };
  tally.check('selector', place, { marshalled: selector.key, is_wildcard: selector.isWildcard }, theirs);
  for (const result of vector.all('results')) {
    const labels = result.has('labels') ? result.texts('labels') : [];
    const ours = selector.matches(Labels.parse(labels));
    tally.check('selector match', `${place}: ${labels.join(',')}`, ours, result.raw('match'));
  }
}

function selectorSource(vector: Fields): Parameters<typeof EndpointSelector.parse>[0] {
  const { matchLabels = {}, matchExpressions = [] } = parse(vector);
  const expressions = (matchExpressions as Record<string, unknown>[]).map(({ key, operator, values }) => ({
    key: key as string,
    operator: operator as string,
    values: (values ?? []) as string[],
  }));
  return { matchLabels: matchLabels as Record<string, string>, matchExpressions: expressions };
}

/** The selector is JSON in a text. */
function parse(vector: Fields): Record<string, unknown> {
  try {
    const selector: unknown = JSON.parse(vector.text('selector'));
    if (isObject(selector)) return selector;
  } catch {
    // Told below.
  }
  throw vector.wrong('selector', 'want a selector in JSON');
}
