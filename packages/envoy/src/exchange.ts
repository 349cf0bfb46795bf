import { endsOf } from './access_log.ts';
import type { HeaderLog } from './header_match.ts';
import { BodyWriter } from './http1/encode.ts';
import type { HeadPlace, RequestStart } from './http1/message.ts';
import type { FilterVerdict } from './port_rules.ts';
import type { HttpAccessLog, ProxyConnection } from './protocol.ts';

/** What policy was asked, as rules left it, and what it said. */
interface Judged {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly verdict: FilterVerdict;
  readonly log: HeaderLog;
}

/** Of one request; a longer one is not tried again. Envoy's per_connection_buffer_limit_bytes. */
const MAX_KEPT_BYTES = 1 << 20;

/** One request and its response, as far as they got. */
export class Exchange {
  readonly request: RequestStart & HeadPlace;
  /** Place among the connection's requests, from 0. */
  readonly number: number;
  /** When the first byte of the request was read. */
  readonly startedNs: bigint;
  /** Set once policy was asked. */
  judged: Judged | undefined;
  /** The request goes to the server; else what is left of it is dropped. */
  forwarded = false;
  /** When all of the request was there. */
  requestDoneNs: bigint | undefined;
  /** The parser has said so, too: what comes next is another request. */
  requestEnded = false;
  response: 'none' | 'head' | 'done' = 'none';
  /** The connection ends with the response. */
  close: boolean;
  /** The connection to the server does, as the server says. */
  serverCloses = false;
  readonly requestBody: BodyWriter;
  /** Of the request as the server got it. */
  method = '';
  /** How often it was tried again. */
  retries = 0;
  /** What went to the server, for the next attempt; undefined: too much, or none will be made. */
  sent: Uint8Array[] | undefined = [];
  #sentBytes = 0;
  /** Set with the head of a response that the server gives. */
  responseBody: BodyWriter | undefined;

  constructor(
    request: RequestStart & HeadPlace,
    number: number,
    times: { startedNs: bigint; nowNs: bigint },
    close: boolean,
  ) {
    const { framing } = request;
    this.request = request;
    this.number = number;
    this.startedNs = times.startedNs;
    this.close = close;
    this.requestBody = new BodyWriter(framing);
    // Without a body the head is all of it.
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0))
      this.requestDoneNs = times.nowNs;
  }

  /** Remembers what goes to the server. */
  keep(bytes: Uint8Array): void {
    if (this.sent === undefined) return;
    this.#sentBytes += bytes.length;
    if (this.#sentBytes > MAX_KEPT_BYTES) this.sent = undefined;
    else this.sent.push(bytes);
  }

  /** The access log's entry for the request, or for the response with `status`. Only once judged. */
  record(connection: ProxyConnection, response?: { status: number; nowNs: bigint }): HttpAccessLog {
    const { method, authority, path, verdict, log } = this.judged!;
    return {
      timestampNs: response?.nowNs ?? this.startedNs,
      entryType: response !== undefined ? 'Response' : verdict.allowed ? 'Request' : 'Denied',
      ...endsOf(connection),
      method,
      path,
      host: authority,
      protocol: this.request.version === '1.0' ? 'HTTP/1' : 'HTTP/1.1',
      status: response?.status,
      latencyNs: response === undefined ? undefined : response.nowNs - this.startedNs,
      rule: verdict.matchedRule,
      ...(connection.secured && { scheme: 'https' as const }),
      ...(log.missing.length > 0 && { missingHeaders: log.missing }),
      ...(log.rejected.length > 0 && { rejectedHeaders: log.rejected }),
    };
  }
}
