import type { ICMPField, ICMPRule } from '@ciliate/k8s';
import type { Place } from './place.ts';
import { parsePort } from './port.ts';
import type { PortProtocol, PortRule } from './rule.ts';

/** Most types in one `fields` list. Source: pkg/policy/api/rule_validation.go. */
const MAX_FIELDS = 40;
const FAMILIES = ['IPv4', 'IPv6'];

/** Types by name. Source: pkg/policy/api/icmp.go. */
const IPV4_TYPES: Readonly<Record<string, number>> = {
  EchoReply: 0,
  DestinationUnreachable: 3,
  Redirect: 5,
  Echo: 8,
  EchoRequest: 8,
  RouterAdvertisement: 9,
  RouterSelection: 10,
  TimeExceeded: 11,
  ParameterProblem: 12,
  Timestamp: 13,
  TimestampReply: 14,
  Photuris: 40,
  ExtendedEchoRequest: 42,
  ExtendedEchoReply: 43,
};
const IPV6_TYPES: Readonly<Record<string, number>> = {
  DestinationUnreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  EchoRequest: 128,
  EchoReply: 129,
  MulticastListenerQuery: 130,
  MulticastListenerReport: 131,
  MulticastListenerDone: 132,
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighborSolicitation: 135,
  NeighborAdvertisement: 136,
  RedirectMessage: 137,
  RouterRenumbering: 138,
  ICMPNodeInformationQuery: 139,
  ICMPNodeInformationResponse: 140,
  InverseNeighborDiscoverySolicitation: 141,
  InverseNeighborDiscoveryAdvertisement: 142,
  HomeAgentAddressDiscoveryRequest: 144,
  HomeAgentAddressDiscoveryReply: 145,
  MobilePrefixSolicitation: 146,
  MobilePrefixAdvertisement: 147,
  DuplicateAddressRequestCodeSuffix: 157,
  DuplicateAddressConfirmationCodeSuffix: 158,
  ExtendedEchoRequest: 160,
  ExtendedEchoReply: 161,
};

/**
 * ICMP types as ports of their protocol.
 * @throws PolicyError
 */
export function parseIcmps(rules: readonly ICMPRule[], place: Place): PortRule[] {
  return rules.map(({ fields = [] }, index) => {
    const list = place.at(index).at('fields');
    if (fields.length > MAX_FIELDS) list.refuse(`${fields.length} types are too many, at most ${MAX_FIELDS}`);
    return portRuleOf(fields.map((field, at) => parseField(field, list.at(at))));
  });
}

/** A rule about ports alone. */
export const portRuleOf = (ports: readonly PortProtocol[]): PortRule => ({
  ports,
  l7: undefined,
  terminatingTLS: undefined,
  originatingTLS: undefined,
  serverNames: [],
  listener: undefined,
});

function parseField({ family, type }: ICMPField, place: Place): PortProtocol {
  if (family !== '' && !FAMILIES.includes(family)) place.at('family').refuseWord('family', family, FAMILIES);
  const ipv6 = family === 'IPv6';
  return { port: typeNumber(String(type), ipv6, place.at('type')), endPort: 0, protocol: ipv6 ? 'ICMPV6' : 'ICMP' };
}

/** Cilium puts the text into a port: what is too large becomes the largest port, what is no number becomes 0. */
function typeNumber(text: string, ipv6: boolean, place: Place): number {
  const [types, others] = ipv6 ? [IPV6_TYPES, IPV4_TYPES] : [IPV4_TYPES, IPV6_TYPES];
  if (Object.hasOwn(types, text)) return types[text]!;
  if (Object.hasOwn(others, text)) place.refuse(`${text} is a type of family ${ipv6 ? 'IPv4' : 'IPv6'}`);
  if (!/^[-+]?\d+$/.test(text)) place.refuseWord('ICMP type', text, Object.keys(types));
  return parsePort(text) ?? (/^[1-9]\d*$/.test(text) ? 0xffff : 0);
}
