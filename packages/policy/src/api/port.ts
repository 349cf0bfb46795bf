import type { PortProtocol as K8sPortProtocol } from '@ciliate/k8s';
import type { Place } from './place.ts';
import type { PortProtocol } from './rule.ts';

/** Most port entries in one `ports` list. Source: pkg/policy/api/rule_validation.go. */
export const MAX_PORTS = 40;

const PROTOCOLS = ['TCP', 'UDP', 'SCTP', 'ANY'] as const;
const MAX_SERVICE_NAME = 15;
/** Decimal, or with a prefix for another base; `_` may stand between digits. */
const GO_NUMBER = /^(0[xX](_?[\da-fA-F])+|0[bB](_?[01])+|0[oO](_?[0-7])+|0(_?[0-7])*|[1-9](_?\d)*)$/;

/**
 * A port number in text. A leading zero makes it octal, as in Go's ParseUint with base 0.
 * @returns undefined if it is no number of 16 bits
 */
export function parsePort(text: string): number | undefined {
  if (!GO_NUMBER.test(text)) return undefined;
  const digits = text.replaceAll('_', '');
  const port = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return port > 0xffff ? undefined : port;
}

/** May this be the name of a port (RFC 6335)? Short hexadecimal numbers are names too. Source: pkg/iana/svcname.go. */
export const isPortName = (text: string): boolean =>
  text.length <= MAX_SERVICE_NAME && /^([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*$/.test(text);

/**
 * Check the ports of one list.
 * @throws PolicyError
 */
export function parsePorts(ports: readonly K8sPortProtocol[], place: Place): PortProtocol[] {
  if (ports.length > MAX_PORTS) place.refuse(`${ports.length} ports are too many, at most ${MAX_PORTS}`);
  return ports.map((port, index) => parsePortProtocol(port, place.at(index)));
}

export function parsePortProtocol({ port, endPort, protocol }: K8sPortProtocol, place: Place): PortProtocol {
  return {
    port: isPortName(port) ? port.toLowerCase() : (parsePort(port) ?? refusePort(port, place.at('port'))),
    endPort: endPort & 0xffff, // Cilium does not look at the number either, and keeps 16 bits of it
    protocol: parseProtocol(protocol, place.at('protocol')),
  };
}

function parseProtocol(text: string, place: Place): PortProtocol['protocol'] {
  if (text === '') return 'ANY';
  const known = PROTOCOLS.find((protocol) => protocol === text.toUpperCase());
  if (known !== undefined) return known;
  if (/^icmp/i.test(text)) place.refuse(`${text} has no ports: write its types under "icmps", without toPorts`);
  return place.refuseWord('protocol', text, PROTOCOLS);
}

function refusePort(text: string, place: Place): never {
  if (text === '') place.refuse('a port must be given');
  const shown = JSON.stringify(text);
  const range = /^(\d+)-(\d+)$/.exec(text);
  if (range) place.refuse(`${shown} is not a port, did you mean port "${range[1]}" with endPort ${range[2]}?`);
  if (parsePort(text.trim()) !== undefined) place.refuse(`${shown} is not a port, did you mean "${text.trim()}"?`);
  if (/^\d+$/.test(text)) place.refuse(`${shown} is not a port number (0..65535)`);
  const name = 'at most 15 letters, digits and single inner dashes, at least one of them a letter';
  return place.refuse(`${shown} is neither a port number (0..65535) nor the name of a port (${name})`);
}
