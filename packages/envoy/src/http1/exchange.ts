import { Exchange } from '../exchange.ts';
import type { ProxyConnection } from '../protocol.ts';
import { BodyWriter } from './encode.ts';
import { type HeadPlace, hasToken, type RequestStart } from './message.ts';

/** One request on a connection where they come one after the other. */
export class Http1Exchange extends Exchange {
  readonly request: RequestStart & HeadPlace;
  /** The request goes to the server; else what is left of it is dropped. */
  forwarded = false;
  /** The parser has said so, too: what comes next is another request. */
  requestEnded = false;
  /** The connection ends with the response. */
  close: boolean;
  /** The connection to the server does, as the server says. */
  serverCloses = false;
  readonly requestBody: BodyWriter;
  /** Of the request as the server got it. */
  method = '';
  /** The server is asked to make a WebSocket of the connection: the request has no end. */
  upgrade = false;
  /** Set with the head of a response that the server gives. */
  responseBody: BodyWriter | undefined;

  constructor(
    connection: ProxyConnection,
    number: number,
    request: RequestStart & HeadPlace,
    times: { startedNs: bigint; nowNs: bigint },
  ) {
    const { framing, headers, version } = request;
    const protocol = version === '1.0' ? 'HTTP/1' : 'HTTP/1.1';
    super(connection, number, { startedNs: times.startedNs, protocol, headers });
    this.request = request;
    this.close = hasToken(headers, 'connection', 'close');
    this.requestBody = new BodyWriter(framing);
    // Without a body the head is all of it.
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0))
      this.requestDoneNs = times.nowNs;
  }
}
