import { PROTOCOL_NUMBERS } from '../protocols.ts';

/** Something that holds for every flow of a protocol from one port to another; for ICMP ports are types. */
export interface Span<T> {
  /** IANA number. */
  readonly protocol: number;
  readonly first: number;
  readonly last: number;
  readonly value: T;
}

/** The protocols that rules have names for, and their last port or type. The datapath passes no other ones. */
export const REACH_PROTOCOLS: readonly { readonly protocol: number; readonly last: number }[] = [
  { protocol: PROTOCOL_NUMBERS.TCP, last: 0xffff },
  { protocol: PROTOCOL_NUMBERS.UDP, last: 0xffff },
  { protocol: PROTOCOL_NUMBERS.SCTP, last: 0xffff },
  { protocol: PROTOCOL_NUMBERS.ICMP, last: 0xff },
  { protocol: PROTOCOL_NUMBERS.ICMPV6, last: 0xff },
];

/**
 * Spans for all ports of all protocols, in their order, as few as there can be.
 * @param cutsOf where the value may change: ports of a protocol, in any order, none twice or often
 * @param valueAt asked for the first port of each piece; equal values are the same object
 */
export function spansOf<T>(
  cutsOf: (protocol: number) => Iterable<number>,
  valueAt: (protocol: number, port: number) => T,
): Span<T>[] {
  const spans: Span<T>[] = [];
  for (const { protocol, last } of REACH_PROTOCOLS) {
    const starts = [...new Set([0, ...cutsOf(protocol)])].filter((port) => port <= last).sort((a, b) => a - b);
    for (const [index, first] of starts.entries()) {
      append(spans, { protocol, first, last: (starts[index + 1] ?? last + 1) - 1, value: valueAt(protocol, first) });
    }
  }
  return spans;
}

/**
 * What two lists of spans say together.
 * @param a both for all ports of all protocols, in their order
 * @param join equal values must be the same object for spans to be joined
 */
export function overlay<A, B, T>(a: readonly Span<A>[], b: readonly Span<B>[], join: (a: A, b: B) => T): Span<T>[] {
  const spans: Span<T>[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [one, other] = [a[i]!, b[j]!];
    const last = Math.min(one.last, other.last);
    const { protocol } = one;
    append(spans, { protocol, first: Math.max(one.first, other.first), last, value: join(one.value, other.value) });
    if (one.last === last) i++;
    if (other.last === last) j++;
  }
  return spans;
}

function append<T>(spans: Span<T>[], span: Span<T>): void {
  const before = spans.at(-1);
  const continues = before?.protocol === span.protocol && before.last + 1 === span.first && before.value === span.value;
  if (continues) spans[spans.length - 1] = { ...before, last: span.last };
  else spans.push(span);
}
