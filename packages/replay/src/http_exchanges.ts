import { RequestDecoder, ResponseDecoder } from '@ciliate/envoy';

/** Places are in the server's stream; interim responses (1xx) lie from `start` to `finalStart`. */
export interface RecordedResponse {
  start: number;
  finalStart: number;
  end: number;
  /** Nothing but the server's close tells where it ends. */
  untilClose: boolean;
}

/** A request of a recorded connection and the answer to it. */
export interface HttpExchange {
  request: { method: string; target: string };
  /** Where the answer lies in the server's stream; undefined if the recording has none. */
  response: RecordedResponse | undefined;
}

/** A response as its client got it; positions are in the stream. */
export interface SeenResponse extends RecordedResponse {
  status: number;
  /** For a table: the first line of the body, empty if there is none. */
  firstLine: string;
}

/**
 * Pairs the requests of a recorded connection with their answers. Empty if the client's bytes are not HTTP/1: then the
 * connection is one of plain bytes.
 */
export function readExchanges(client: Uint8Array, server: Uint8Array): HttpExchange[] {
  const requests = new RequestDecoder().feed(client);
  const responses = readStream(server, requests);
  return requests.map(({ method, target }, index) => ({ request: { method, target }, response: responses[index] }));
}

/** The final responses in what reached a client so far, those that are whole. */
export const readResponses = (stream: Uint8Array, exchanges: readonly HttpExchange[]): SeenResponse[] =>
  readStream(
    stream,
    exchanges.map(({ request }) => request),
  );

/** Where in its stream each response ends that reached a client so far. */
export const responseEnds = (stream: Uint8Array, exchanges: readonly HttpExchange[]): number[] =>
  readResponses(stream, exchanges).map(({ end }) => end);

/** Interim responses (1xx) count to the final one behind them. */
function readStream(stream: Uint8Array, requests: readonly { method: string }[]): SeenResponse[] {
  const decoder = new ResponseDecoder();
  for (const { method } of requests) decoder.expect(method);
  let start = 0;
  const responses = [...decoder.feed(stream), ...decoder.finish()].flatMap((message): SeenResponse[] => {
    const { status, start: finalStart, headEnd, end, framing } = message;
    if (status < 200) return [];
    const body = new TextDecoder().decode(stream.subarray(headEnd, end));
    const text = framing.kind === 'chunked' ? body.slice(body.indexOf('\r\n') + 2) : body; // without the chunk's size
    const firstLine = text.trim().split(/\r?\n/, 1)[0]!;
    const response = { status, start, finalStart, end, untilClose: framing.kind === 'untilClose', firstLine };
    start = end;
    return [response];
  });
  const switched = responses.length < requests.length ? switchOfProtocols(stream.subarray(start)) : undefined;
  if (switched === undefined) return responses;
  const end = start + switched;
  return [...responses, { status: 101, start, finalStart: start, end, untilClose: false, firstLine: '' }];
}

/** How long the head is by which the server agrees to speak another protocol (which no proxy of ours lets pass). */
function switchOfProtocols(stream: Uint8Array): number | undefined {
  const text = Buffer.from(stream.buffer, stream.byteOffset, stream.length).toString('latin1');
  return /^HTTP\/1\.1 101 .*?\r\n\r\n/s.exec(text)?.[0].length;
}
