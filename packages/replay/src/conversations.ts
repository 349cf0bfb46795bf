import type { ServiceEntry } from '@ciliate/loadbalancer';
import { isIcmpEcho, isIcmpEchoReply, TCP_ACK, TCP_SYN } from '@ciliate/packet';
import { type Flow, flowKeys, flowOf, type PeerAddress, type Transport } from './flow.ts';
import type { RecordedPacket } from './recording.ts';
import { SegmentStream } from './stream.ts';

export type Side = 'client' | 'server';

/** What a client and a server said to each other, in the order it was recorded. */
export interface Conversation {
  transport: Transport;
  client: PeerAddress;
  /** As the client addressed it: a service or a pod. */
  server: PeerAddress;
  packets: { from: Side; packet: RecordedPacket }[];
  /** TCP only: the bytes each side sent. */
  streams: Record<Side, SegmentStream>;
}

/** Why a packet belongs to no conversation that can be replayed. */
export interface Unreplayed {
  packet: RecordedPacket;
  reason: string;
}

/**
 * Sorts packets into conversations. A client that speaks to a service is answered from a backend's address, so both count
 * as one place: that of the service.
 */
export function findConversations(
  packets: Iterable<RecordedPacket>,
  services: readonly ServiceEntry[],
): { conversations: Conversation[]; unreplayed: Unreplayed[] } {
  const keyOf = flowKeys(services);
  const open = new Map<string, Conversation>();
  const conversations: Conversation[] = [];
  const unreplayed: Unreplayed[] = [];
  for (const packet of packets) {
    const flow = replayableFlow(packet);
    if (typeof flow === 'string') {
      unreplayed.push({ packet, reason: flow });
      continue;
    }
    const key = keyOf(flow);
    let conversation = open.get(key);
    if (conversation === undefined || startsAnew(conversation, flow, packet)) {
      const fromServer = isAnswer(packet);
      conversation = {
        transport: flow.transport,
        client: fromServer ? flow.dst : flow.src,
        server: fromServer ? flow.src : flow.dst,
        packets: [],
        streams: { client: new SegmentStream(), server: new SegmentStream() },
      };
      open.set(key, conversation);
      conversations.push(conversation);
    }
    const from: Side = samePlace(flow.src, conversation.client) ? 'client' : 'server';
    conversation.packets.push({ from, packet });
    if (packet.parsed.tcp !== undefined) conversation.streams[from].add(packet.parsed.tcp, packet.parsed.payload);
  }
  return { conversations, unreplayed };
}

const samePlace = (a: PeerAddress, b: PeerAddress): boolean => a.address === b.address && a.port === b.port;

function replayableFlow(packet: RecordedPacket): Flow | string {
  const { parsed, sender, fromWorld } = packet;
  const cut = cutShort(packet);
  if (cut !== undefined) return cut;
  if (parsed.ip?.isFragment) return 'fragments are not replayed as conversations yet';
  if (parsed.icmp !== undefined && !isIcmpEcho(parsed.icmp.type, parsed.ipv6 !== undefined))
    return 'ICMP other than echo is not replayed as conversations yet';
  const flow = flowOf(parsed);
  if (flow === undefined) return parsed.error ?? 'not TCP, UDP or ICMP over IP';
  return sender === undefined && !fromWorld ? 'its source is no pod of the cluster' : flow;
}

/** Captures may keep only the first bytes of each packet: what the rest said, nobody knows. */
function cutShort({ parsed: { ip, ipv6 }, frame }: RecordedPacket): string | undefined {
  if (ip === undefined || ip.at + ip.totalLength <= frame.length) return undefined;
  const version = ipv6 === undefined ? 'IPv4' : 'IPv6';
  return `the capture kept ${frame.length - ip.at} of the ${ip.totalLength} bytes of this ${version} packet`;
}

/** Does this first packet of a conversation come from the server? */
function isAnswer({ parsed: { ipv6, tcp, icmp } }: RecordedPacket): boolean {
  if (icmp !== undefined) return isIcmpEchoReply(icmp.type, ipv6 !== undefined);
  return tcp !== undefined && (tcp.flags & (TCP_SYN | TCP_ACK)) === (TCP_SYN | TCP_ACK);
}

/**
 * A SYN of a new connection on ports that were used before. The end of the one before may be missing (a client that
 * crashed), but a client that repeats its SYN repeats its sequence number.
 */
function startsAnew({ client, streams }: Conversation, flow: Flow, { parsed: { tcp } }: RecordedPacket): boolean {
  if (tcp === undefined || (tcp.flags & (TCP_SYN | TCP_ACK)) !== TCP_SYN) return false;
  if (streams.client.isn === undefined || streams.client.isn === tcp.seq) return false;
  return samePlace(flow.src, client) || streams.client.ended || streams.server.ended;
}
