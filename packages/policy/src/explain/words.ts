import { ciliumKey, type EndpointSelector, type SelectorExpression } from '@ciliate/labels';
import type { RuleOrigin } from '../api/rule.ts';
import { PROTOCOL_NUMBERS } from '../protocols.ts';

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries({ ...PROTOCOL_NUMBERS, ICMPv6: PROTOCOL_NUMBERS.ICMPV6 }).map(([name, number]) => [number, name]),
);

/** `TCP`; `protocol 47` for one that rules have no name for. */
export const protocolName = (protocol: number): string => PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`;

/** Ports as a rule writes them. @param endPort not above `port`: one port */
export function portsText(ports: {
  readonly port: number;
  readonly endPort: number;
  readonly portName: string;
  readonly protocol: string;
}): string {
  const { port, endPort, portName, protocol } = ports;
  if (portName !== '') return `${portName}/${protocol}`;
  if (port === 0 && (endPort === 0 || endPort === 0xffff))
    return protocol === 'ANY' ? 'every port' : `every port/${protocol}`;
  return `${endPort > port ? `${port}-${endPort}` : port}/${protocol}`;
}

/** A selector as people write label selectors: `org=empire,tier!=db,!debug`; `everybody` if it asks for nothing. */
export function selectorText({ matchLabels, matchExpressions }: EndpointSelector): string {
  const labels = [...matchLabels].map(([key, value]) => requirementText({ key, operator: 'In', values: [value] }));
  return [...labels, ...matchExpressions.map(requirementText)].join(',') || 'everybody';
}

/** One requirement of a selector, its key in extended form. */
export function requirementText({ key: extended, operator, values }: SelectorExpression): string {
  const key = ciliumKey(extended).replace(/^any:/, '');
  switch (operator) {
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'In':
      if (values.length > 1) return `${key} in (${values.join(', ')})`;
      return values[0] === '' ? key : `${key}=${values[0]}`;
    default:
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(', ')})`;
  }
}

/** `namespace/name`, or the name of what belongs to the whole cluster. */
export const qualified = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  namespace === '' ? name : `${namespace}/${name}`;

/** A rule in a line: what it is, its number and its place in the user's file; or the name of what Cilium adds itself. */
export function formatOrigin(origin: RuleOrigin): string {
  const { kind, specIndex, list, ruleIndex, position } = origin;
  if (kind === 'implicit') return origin.name;
  const spec = specIndex === 0 ? '' : `spec ${specIndex} `;
  const place = position === undefined ? '' : ` (${position.file}:${position.line})`;
  return `${kind} ${qualified(origin)} ${spec}${list}[${ruleIndex}]${place}`;
}
