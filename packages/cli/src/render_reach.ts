import { type ClusterPolicy, ENTITIES, type Party } from '@ciliate/agent';
import type { PathVerdict, SideVerdict } from '@ciliate/policy';

/** So many pods and prefixes are shown of one group. */
const SHOWN_NAMES = 6;

/** `default/a, default/b and 3 more, every entity but host`: pods and prefixes first. */
export function namesText(parties: readonly Party[]): string {
  const names = parties.flatMap((party) => party.names);
  const others = names.filter((name) => !ENTITIES.includes(name));
  const more = others.length - SHOWN_NAMES;
  const shown = more > 1 ? [`${others.slice(0, SHOWN_NAMES).join(', ')} and ${more} more`] : others;
  return [...shown, ...entitiesText(ENTITIES.filter((name) => names.includes(name)))].join(', ');
}

function entitiesText(present: readonly string[]): readonly string[] {
  const absent = ENTITIES.filter((name) => !present.includes(name));
  if (absent.length === 0) return ['every entity'];
  return absent.length < present.length / 2 ? [`every entity but ${absent.join(' and ')}`] : present;
}

/** Peers that policies name and nobody knows yet. */
export function unknownNames({ repository }: ClusterPolicy): string[] {
  return repository.fqdnSelectors().map(({ matchName, matchPattern }) => matchName || matchPattern);
}

export const unknownLines = (names: readonly string[]): string[] =>
  names.map((name) => `${name}: the addresses of a name are learnt from DNS, so who it is cannot be told here`);

/** `allow`, `deny`, `L7 http: POST /v1/request-landing`, `allow, authentication required`. */
export function pathText({ verdict, authType, egress, ingress }: PathVerdict): string {
  const redirects = [egress, ingress].filter((side) => side?.verdict === 'redirect').map((side) => l7Text(side!));
  const how = verdict === 'redirect' ? redirects.join(', then ') : verdict;
  return authType === 0 ? how : `${how}, authentication ${authType === 1 ? 'required' : 'test-always-fail'}`;
}

const l7Text = ({ parser, listener, l7 }: SideVerdict): string =>
  `L7 ${listener === '' ? parser : `listener ${listener}`}: ${l7.join(' | ') || 'everything'}`;

export const partyJson = ({ names, labels, nodes }: Party): object => ({
  names,
  labels,
  identities: nodes.map(({ identity }) => identity),
});

export const pathJson = ({ verdict, authType, egress, ingress }: PathVerdict): object => ({
  verdict,
  authType,
  egress,
  ingress,
});
