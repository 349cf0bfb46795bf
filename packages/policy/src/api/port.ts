/** Most port entries in one `ports` list. Source: pkg/policy/api/rule_validation.go. */
export const MAX_PORTS = 40;

/**
 * A port number in text. A leading zero makes it octal, as in Go's ParseUint with base 0.
 * @returns undefined if it is no number of 16 bits
 */
export function parsePort(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const octal = text.length > 1 && text.startsWith('0');
  if (octal && /[89]/.test(text)) return undefined;
  const port = Number.parseInt(text, octal ? 8 : 10);
  return port > 0xffff ? undefined : port;
}

/** IANA protocol numbers; ANY stands for protocol 0, every protocol. */
export const PROTOCOL_NUMBERS = { ANY: 0, TCP: 6, UDP: 17, SCTP: 132 } as const;
