import type { Endpoint } from '@ciliate/agent';
import { AgentError, addressBeside, podName } from '@ciliate/agent';
import {
  formatIp,
  type IpAddress,
  isIpv6,
  TCP_ACK,
  TCP_FIN,
  TCP_PSH,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
} from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';
import type { TracePacket } from './recording.ts';

/** A connection that somebody asks about, as if it had been recorded without any policy. */
export interface Question {
  /** A pod, or the address of a client outside of the cluster. */
  client: Endpoint | IpAddress;
  /** As the client addresses it. */
  server: PeerAddress;
  /** Who answered in the "recording": the server itself, or for a service one of its backends; undefined: nobody. */
  answering: { pod: Endpoint; port: number } | undefined;
  transport: 'TCP' | 'UDP';
  /** Bytes the client sends on a TCP connection, and what is answered to them. */
  request?: Uint8Array;
  response?: Uint8Array;
}

const CLIENT_PORT = 40_000;
const CLIENT_ISN = 1_000;
const SERVER_ISN = 500_000;
/** Far enough from 0 that conntrack's times look like times. */
export const START_NS = 1_000_000_000_000n;
const STEP_NS = 1_000_000n;
const EMPTY = new Uint8Array(0);

/**
 * The packets of such a connection: handshake, request, answer, and the end by the client.
 * @throws AgentError BAD_INPUT for a pod without an address in the family of the server's
 */
export function synthesize(question: Question): TracePacket[] {
  const packets: TracePacket[] = [];
  const send = (from: Endpoint | IpAddress, data: Uint8Array): void => {
    const number = packets.length + 1;
    const who =
      typeof from === 'object' ? { interfaceName: podName(from) } : { interfaceName: undefined, fromWorld: true };
    packets.push({ number, timestampNs: START_NS + BigInt(number) * STEP_NS, data, ...who });
  };
  if (question.transport === 'TCP') tcpPackets(question, send);
  else udpPackets(question, send);
  return packets;
}

/** As the other side sees it. */
function addressOf(pod: Endpoint | IpAddress, other: IpAddress): IpAddress {
  if (typeof pod !== 'object') return pod;
  const address = addressBeside(pod, other);
  if (address !== undefined) return address;
  const family = isIpv6(other) ? 'IPv6' : 'IPv4';
  const name = podName(pod);
  throw new AgentError('BAD_INPUT', `${name} has no ${family} address to speak with ${formatIp(other)}`, { pod: name });
}

type Send = (from: Endpoint | IpAddress, frame: Uint8Array) => void;

function udpPackets({ client, server, answering }: Question, send: Send): void {
  const asks = {
    src: addressOf(client, server.address),
    srcPort: CLIENT_PORT,
    dst: server.address,
    dstPort: server.port,
  };
  send(client, udpDatagram({ ...asks, payload: Uint8Array.of(0, 1) }));
  if (answering === undefined) return;
  const { pod, port } = answering;
  const answers = { src: addressOf(pod, server.address), srcPort: port, dst: asks.src, dstPort: CLIENT_PORT };
  send(pod, udpDatagram({ ...answers, payload: Uint8Array.of(0, 1) }));
}

function tcpPackets({ client, server, answering, request = EMPTY, response = EMPTY }: Question, send: Send): void {
  const asks = {
    src: addressOf(client, server.address),
    srcPort: CLIENT_PORT,
    dst: server.address,
    dstPort: server.port,
  };
  const clientNext = CLIENT_ISN + 1 + request.length;
  const serverNext = SERVER_ISN + 1 + response.length;
  send(client, tcpSegment({ ...asks, seq: CLIENT_ISN, flags: TCP_SYN }));
  if (answering === undefined) return;
  const { pod, port } = answering;
  const answers = { src: addressOf(pod, server.address), srcPort: port, dst: asks.src, dstPort: CLIENT_PORT };
  send(pod, tcpSegment({ ...answers, seq: SERVER_ISN, ack: CLIENT_ISN + 1, flags: TCP_SYN | TCP_ACK }));
  const ackData = TCP_ACK | TCP_PSH;
  send(client, tcpSegment({ ...asks, seq: CLIENT_ISN + 1, ack: SERVER_ISN + 1, flags: TCP_ACK }));
  if (request.length > 0)
    send(client, tcpSegment({ ...asks, seq: CLIENT_ISN + 1, ack: SERVER_ISN + 1, flags: ackData, payload: request }));
  if (response.length > 0)
    send(pod, tcpSegment({ ...answers, seq: SERVER_ISN + 1, ack: clientNext, flags: ackData, payload: response }));
  send(client, tcpSegment({ ...asks, seq: clientNext, ack: serverNext, flags: TCP_FIN | TCP_ACK }));
  send(pod, tcpSegment({ ...answers, seq: serverNext, ack: clientNext + 1, flags: TCP_FIN | TCP_ACK }));
  send(client, tcpSegment({ ...asks, seq: clientNext + 1, ack: serverNext + 1, flags: TCP_ACK }));
}
