import { parseIp } from '@ciliate/packet';

/** The name, without the brackets of an IPv6 address, and the port. */
export function splitPort(to: string): [name: string, digits: string | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(to);
  if (bracketed !== null) return [bracketed[1]!, bracketed[2]];
  if (parseIp(to) !== undefined) return [to, undefined];
  const [, name = '', digits] = /^(.*?)(?::(\d{1,5}))?$/.exec(to)!;
  return [name, digits];
}
