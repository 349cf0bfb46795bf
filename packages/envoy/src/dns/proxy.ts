import { absoluteName, compileDnsRules, type NameSelector } from '@ciliate/identity';
import type { SocketAddress } from '../protocol.ts';
import {
  answerWith,
  type DnsAnswer,
  type DnsQuestion,
  RCODE,
  type Rcode,
  readAnswer,
  readQuestion,
} from './message.ts';

/** What one rule lets an endpoint ask: at these servers, these names. */
export interface DnsRule {
  /** Identities of the servers; undefined: any. */
  readonly servers: readonly number[] | undefined;
  /** None: every name. */
  readonly names: readonly NameSelector[];
}

/** Where and whom an endpoint asks. */
export interface DnsExchange {
  readonly endpointId: number;
  readonly protocol: 'UDP' | 'TCP';
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
}

/** An entry of the log of DNS. Source: pkg/proxy/accesslog, LogRecordDNS. */
export interface DnsAccessLog extends DnsExchange {
  readonly timestampNs: bigint;
  readonly entryType: 'Request' | 'Response' | 'Denied';
  readonly query: string;
  readonly qtype: string;
  /** Only in responses. */
  readonly answer: Pick<DnsAnswer, 'ips' | 'cnames' | 'ttlS' | 'rcode' | 'rrTypes'> | undefined;
}

/** What becomes of a question. */
export type QuestionVerdict =
  | { readonly kind: 'forward'; readonly question: DnsQuestion }
  /** The client gets this at once; the server hears nothing. */
  | { readonly kind: 'answer'; readonly bytes: Uint8Array }
  /** It cannot even be answered. */
  | { readonly kind: 'ignore' };

/** What becomes of an answer. */
export interface AnswerVerdict {
  readonly bytes: Uint8Array;
  /** Must be in force, with all that follows from it, before the client gets the answer. */
  readonly learned: { readonly name: string; readonly addresses: readonly string[]; readonly ttlS: number } | undefined;
}

export interface DnsProxyOptions {
  /** The rules of an endpoint about a port; undefined: none, so nothing may be asked there. */
  readonly rulesOf: (endpointId: number, port: number, protocol: 'UDP' | 'TCP') => readonly DnsRule[] | undefined;
  readonly onAccessLog: (record: DnsAccessLog) => void;
  /** `--tofqdns-dns-reject-response-code`; `refused` if absent. */
  readonly rejectWith?: 'refused' | 'nameError';
}

/**
 * The DNS proxy, without sockets: who carries the messages asks it what to do with each.
 * Source: pkg/fqdn/dnsproxy/proxy.go, daemon/cmd/fqdn.go.
 */
export class DnsProxy {
  readonly #options: DnsProxyOptions;
  readonly #tests = new WeakMap<readonly NameSelector[], (name: string) => boolean>();

  constructor(options: DnsProxyOptions) {
    this.#options = options;
  }

  /** @param bytes one message, without the length that TCP puts before it */
  question(exchange: DnsExchange, bytes: Uint8Array, nowNs: bigint): QuestionVerdict {
    const question = readQuestion(bytes);
    if (question === undefined) return { kind: 'ignore' };
    const allowed = this.#isAllowed(exchange, question.name);
    this.#log(exchange, allowed ? 'Request' : 'Denied', question, undefined, nowNs);
    if (allowed) return { kind: 'forward', question };
    const { rejectWith = 'refused' } = this.#options;
    return { kind: 'answer', bytes: answerWith(bytes, RCODE[rejectWith]) };
  }

  /**
   * @param query the message that was forwarded
   * @returns undefined if this is no answer to it, and somebody else's may still come
   */
  answer(exchange: DnsExchange, query: Uint8Array, bytes: Uint8Array, nowNs: bigint): AnswerVerdict | undefined {
    const asked = readQuestion(query)!;
    if (bytes.length < 2 || ((bytes[0]! << 8) | bytes[1]!) !== asked.id) return undefined;
    const answer = readAnswer(bytes);
    if (answer === undefined || absoluteName(answer.name) !== absoluteName(asked.name) || answer.type !== asked.type)
      return { bytes: this.failure(query), learned: undefined };
    this.#log(exchange, 'Response', asked, answer, nowNs);
    const { name, ips: addresses, ttlS, rcode } = answer;
    const tells = rcode === RCODE.noError && addresses.length > 0;
    return { bytes, learned: tells ? { name, addresses, ttlS } : undefined };
  }

  /** The server could not be reached. */
  failure(query: Uint8Array, rcode: Rcode = RCODE.serverFailure): Uint8Array {
    return answerWith(query, rcode);
  }

  #isAllowed({ endpointId, destination, protocol, destinationIdentity }: DnsExchange, name: string): boolean {
    const asked = absoluteName(name);
    const rules = this.#options.rulesOf(endpointId, destination.port, protocol) ?? [];
    return rules.some(
      ({ servers, names }) =>
        (servers === undefined || servers.includes(destinationIdentity)) && this.#testOf(names)(asked),
    );
  }

  #testOf(names: readonly NameSelector[]): (name: string) => boolean {
    let test = this.#tests.get(names);
    if (test === undefined) {
      test = compileDnsRules(names);
      this.#tests.set(names, test);
    }
    return test;
  }

  #log(
    exchange: DnsExchange,
    entryType: DnsAccessLog['entryType'],
    { name, type }: DnsQuestion,
    answer: DnsAnswer | undefined,
    timestampNs: bigint,
  ): void {
    const record = { ...exchange, timestampNs, entryType, query: absoluteName(name), qtype: type, answer };
    this.#options.onAccessLog(record);
  }
}
