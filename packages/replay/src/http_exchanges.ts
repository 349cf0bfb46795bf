import { RequestDecoder, ResponseDecoder } from '@ciliate/envoy';

/** A request of a recorded connection and the answer to it. */
export interface HttpExchange {
  request: { method: string; target: string };
  /** Where the answer lies in the server's stream; undefined if the recording has none. */
  response: { start: number; end: number } | undefined;
}

/** A response as its client got it; positions are in the stream. */
export interface SeenResponse {
  status: number;
  start: number;
  end: number;
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
  return [...decoder.feed(stream), ...decoder.finish()].flatMap(({ status, headEnd, end, framing }) => {
    if (status < 200) return [];
    const body = new TextDecoder().decode(stream.subarray(headEnd, end));
    const text = framing.kind === 'chunked' ? body.slice(body.indexOf('\r\n') + 2) : body; // without the chunk's size
    const response = { status, start, end, firstLine: text.trim().split(/\r?\n/, 1)[0]! };
    start = end;
    return [response];
  });
}
