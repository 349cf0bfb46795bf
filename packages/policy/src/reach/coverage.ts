import { protocolName } from '../explain/words.ts';
import { PROTOCOL_NUMBERS } from '../protocols.ts';
import { REACH_PROTOCOLS, type Span } from './spans.ts';

type Ports = Omit<Span<unknown>, 'value'>;

/**
 * Ports in words, as short as it goes: `80,8000-8080/TCP`, `TCP and UDP`, `everything but 80/TCP`, `ICMP type 8`.
 * @param spans in the order of {@link REACH_PROTOCOLS}, not overlapping
 */
export function coverageText(spans: readonly Ports[]): string {
  const left = complement(spans);
  if (left.length === 0) return 'everything';
  if (spans.length === 0) return 'nothing';
  const [covered, missing] = [textOf(spans), textOf(left)];
  return missing.length < covered.length / 2 ? `everything but ${missing}` : covered;
}

function textOf(spans: readonly Ports[]): string {
  const texts = REACH_PROTOCOLS.flatMap(({ protocol, last }) => {
    const own = joined(spans.filter((span) => span.protocol === protocol));
    if (own.length === 0) return [];
    const name = protocolName(protocol);
    if (own[0]!.first === 0 && own[0]!.last === last) return [name];
    const numbers = own.map((span) => (span.first === span.last ? `${span.first}` : `${span.first}-${span.last}`));
    const isIcmp = protocol === PROTOCOL_NUMBERS.ICMP || protocol === PROTOCOL_NUMBERS.ICMPV6;
    return [isIcmp ? `${name} type ${numbers.join(',')}` : `${numbers.join(',')}/${name}`];
  });
  return texts.join(' and ');
}

function joined(spans: readonly Ports[]): Ports[] {
  const found: Ports[] = [];
  for (const span of spans) {
    const before = found.at(-1);
    if (before?.last === span.first - 1) found[found.length - 1] = { ...before, last: span.last };
    else found.push(span);
  }
  return found;
}

function complement(spans: readonly Ports[]): Ports[] {
  return REACH_PROTOCOLS.flatMap(({ protocol, last }) => {
    const found: Ports[] = [];
    let next = 0;
    for (const span of spans) {
      if (span.protocol !== protocol) continue;
      if (span.first > next) found.push({ protocol, first: next, last: span.first - 1 });
      next = span.last + 1;
    }
    return next <= last ? [...found, { protocol, first: next, last }] : found;
  });
}
