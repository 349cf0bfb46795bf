import type { Agent, Endpoint } from '@ciliate/agent';
import { type CapturedPacket, type ParsedFrame, parseFrame } from '@ciliate/packet';

/** One packet of a trace, and the pod that sent it. */
export interface RecordedPacket {
  /** 1-based place in the capture, for messages. */
  number: number;
  timeNs: bigint;
  frame: Uint8Array;
  parsed: ParsedFrame;
  /** undefined when no pod of the cluster can have sent it. */
  sender: Endpoint | undefined;
  /** It comes in from the network. */
  fromWorld: boolean;
}

/** A packet as captures hold it, with the name of its interface if the capture says one. */
export interface TracePacket extends Pick<CapturedPacket, 'number' | 'timestampNs' | 'data'> {
  interfaceName: string | undefined;
  /** A client outside of the cluster sends it. */
  fromWorld?: boolean;
}

/**
 * Finds the sender of a packet: the pod that the interface is named after (`namespace/name`, or `name` in the namespace
 * `default`), else the pod that owns the source address. The latter too for what that interface's pod received, if the
 * capture holds both directions; if a service answered there, whose pod it was is the emulator's choice anyway.
 */
export function record(agent: Agent, packet: TracePacket): RecordedPacket {
  const parsed = parseFrame(packet.data);
  const byInterface = packet.interfaceName === undefined ? undefined : agent.endpointOfPod(packet.interfaceName);
  const { ip } = parsed;
  const bySource = ip === undefined ? undefined : agent.endpointOfAddress(ip.src);
  const byDestination = ip === undefined ? undefined : agent.endpointOfAddress(ip.dst);
  const received = byInterface !== undefined && bySource !== byInterface && byDestination === byInterface;
  const port = (parsed.tcp ?? parsed.udp)?.srcPort;
  const fromService = agent.services.some(({ frontend }) => frontend.address === ip?.src && frontend.port === port);
  return {
    number: packet.number,
    timeNs: packet.timestampNs,
    frame: packet.data,
    parsed,
    fromWorld: packet.fromWorld ?? false,
    sender: received && !fromService ? bySource : (byInterface ?? bySource),
  };
}
