import ipaddr from 'ipaddr.js';
import { quoted } from './words.ts';

// How names, labels and addresses must look. Each function says what is wrong, or undefined.
// Source: k8s.io/apimachinery/pkg/util/validation.

const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SERVICE_LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/; // RFC 1035: starts with a letter
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const PORT_NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;
const MAX_PORT_NAME = 15;

function format(kind: string, pattern: RegExp, rule: string, max: number): (value: string) => string | undefined {
  return (value) => {
    if (value.length > max) return `${quoted(value)} is no ${kind}: it is longer than ${max} characters`;
    return pattern.test(value) ? undefined : `${quoted(value)} is no ${kind}: ${rule}`;
  };
}

const LOWER = "want lower-case letters, digits and '-', a letter or digit at both ends";
export const dnsLabel = format('DNS label', DNS_LABEL, LOWER, MAX_LABEL);
export const dnsSubdomain = format('DNS name', DNS_SUBDOMAIN, `${LOWER} of each part between '.'`, MAX_SUBDOMAIN);
export const serviceName = format('service name', SERVICE_LABEL, `${LOWER}, a letter first`, MAX_LABEL);
const anyPortName = format('port name', PORT_NAME, "want lower-case letters, digits and single '-'", MAX_PORT_NAME);
export const portName = (value: string): string | undefined =>
  anyPortName(value) ?? (/[a-z]/.test(value) ? undefined : `${quoted(value)} is no port name: it needs a letter`);

const LABEL_RULE = "want letters, digits, '-', '_' and '.', a letter or digit at both ends";

export const labelValue = (value: string): string | undefined =>
  value === '' ? undefined : format('label value', NAME, LABEL_RULE, MAX_LABEL)(value);

/**
 * `name` or `prefix/name`, the prefix a DNS name.
 * @param shown how to call it, if it is checked in another form than the user wrote
 */
export function labelKey(key: string, shown = key): string | undefined {
  const wrong = `${quoted(shown)} is no label key`;
  const slash = key.indexOf('/');
  if (slash >= 0 && dnsSubdomain(key.slice(0, slash)) !== undefined) return `${wrong}: want a DNS name before the '/'`;
  const name = key.slice(slash + 1);
  if (name.length > MAX_LABEL) return `${wrong}: ${name.length} characters are too many, at most ${MAX_LABEL}`;
  return NAME.test(name) ? undefined : `${wrong}: ${LABEL_RULE}`;
}

/** Addresses that neither a pod nor a service can have. */
const SPECIAL = new Set<string>(['unspecified', 'loopback', 'linkLocal', 'multicast', 'broadcast']);

export function ipv4(value: string): string | undefined {
  if (ipaddr.IPv6.isValid(value)) return `${quoted(value)}: IPv6 is not modelled yet`;
  if (!ipaddr.IPv4.isValidFourPartDecimal(value)) return `${quoted(value)} is no IPv4 address`;
  const range = ipaddr.IPv4.parse(value).range();
  return SPECIAL.has(range) ? `${quoted(value)} is a ${range} address and cannot be used here` : undefined;
}

/** An address of either family that a pod, a service or its backend can have. */
export function ip(value: string): string | undefined {
  if (!ipaddr.IPv6.isValid(value)) {
    return ipaddr.IPv4.isValidFourPartDecimal(value) ? ipv4(value) : `${quoted(value)} is no IP address`;
  }
  const range = value.includes('%') ? 'zoned' : ipaddr.IPv6.parse(value).range();
  const isSpecial = SPECIAL.has(range) || range === 'ipv4Mapped' || range === 'zoned';
  return isSpecial ? `${quoted(value)} is a ${range} address and cannot be used here` : undefined;
}

export const isIpv6 = (address: string): boolean => address.includes(':');

/** `10.0.0.0/8`, of either family; bits behind the prefix may be set. */
export function cidr(value: string): string | undefined {
  const isRight = /\/(0|[1-9]\d*)$/.test(value) && (ipaddr.IPv4.isValidCIDR(value) || ipaddr.IPv6.isValidCIDR(value));
  const isFourParts = isIpv6(value) || ipaddr.IPv4.isValidFourPartDecimal(value.split('/')[0]!);
  return isRight && isFourParts ? undefined : `${quoted(value)} is no prefix, want for example 10.0.0.0/8`;
}
