import { formatOrigin, type PolicyReason, protocolName } from '@ciliate/agent';
import { portText } from './render.ts';

/** The entry that decided and the rules it comes from, a line each. */
export function renderReason({ entry, origins }: PolicyReason): string[] {
  const lines: string[] = [];
  if (entry !== undefined) {
    const { identity, protocol } = entry;
    const who = identity === 0 ? 'any identity' : `identity ${identity}`;
    const what = protocol === 0 ? 'any protocol' : `${protocolName(protocol)}, port ${portText(entry)}`;
    lines.push(`entry: ${who}, ${what}`);
  }
  return [...lines, ...origins.map((origin) => `from: ${formatOrigin(origin)}`)];
}
