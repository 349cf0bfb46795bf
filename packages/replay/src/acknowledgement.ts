import type { Conversation } from './conversations.ts';
import { type HttpExchange, responseEnds } from './http_exchanges.ts';
import { type SegmentStream, seqDiff } from './stream.ts';

/** A recorded connection, and what of it has reached the client by way of a proxy. */
interface Seen {
  readonly conversation: Conversation;
  readonly exchanges: readonly HttpExchange[];
  readonly atClient: SegmentStream;
}

/**
 * The proxy's sequence number for a place in the server's recorded stream: the same place in the same response.
 * @param closes the client ends the connection by this segment, so it need not have seen the server's end
 * @returns undefined if what is acknowledged has not reached the client
 */
export function proxiedAcknowledgement(
  { conversation, exchanges, atClient: live }: Seen,
  recorded: number,
  closes: boolean,
): number | undefined {
  const stream = conversation.streams.server;
  if (live.isn === undefined || stream.isn === undefined) return undefined;
  const place = seqDiff(recorded, stream.isn) - 1;
  const first = live.isn + 1;
  if (place > stream.bytes.length && !closes) return live.finished ? live.next : undefined;
  if (place <= 0) return first >>> 0;
  const recordings = exchanges.flatMap(({ response }) => (response === undefined ? [] : [response]));
  const liveEnds = responseEnds(live.bytes, exchanges);
  const index = recordings.findIndex(({ end }) => place <= end);
  const last = index === -1 ? recordings.length - 1 : index;
  const liveStart = last <= 0 ? 0 : liveEnds[last - 1];
  if (recordings[last] === undefined || liveStart === undefined) return undefined;
  const { finalStart, end } = recordings[last];
  const liveEnd = liveEnds[last];
  // Of interim responses the proxy sends its own "100 Continue", and no other: all that came is acknowledged.
  if (liveEnd === undefined) return place <= finalStart ? (first + live.bytes.length) >>> 0 : undefined;
  return (first + Math.max(liveStart, liveEnd - Math.max(0, end - place))) >>> 0;
}
