import type { Party } from '@ciliate/agent';
import { coverageText, type PathVerdict, type SideVerdict } from '@ciliate/policy';

export { coverageText as portsText };

/** So many names are shown of one group. */
const SHOWN_NAMES = 4;

/** `default/a, default/b and 3 more`. */
export function namesText(parties: readonly Party[]): string {
  const names = parties.flatMap((party) => party.names);
  const more = names.length - SHOWN_NAMES;
  return more > 1 ? `${names.slice(0, SHOWN_NAMES).join(', ')} and ${more} more` : names.join(', ');
}

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
