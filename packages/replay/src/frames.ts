import {
  ETH,
  fixChecksums,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipv4HeaderLength,
  ipv4Protocol,
  setIpv4Src,
  setTcpAck,
  setTcpSrcPort,
} from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';

/** The recorded frame as another server would have sent it. */
export function withSource(frame: Uint8Array, { address, port }: PeerAddress): Uint8Array {
  const copy = frame.slice();
  setIpv4Src(copy, ETH.size, address);
  const protocol = ipv4Protocol(copy, ETH.size);
  // TCP and UDP have their ports in the same place.
  if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) setTcpSrcPort(copy, l4(copy), port);
  fixChecksums(copy, 0, copy.length);
  return copy;
}

/** The recorded TCP segment with another acknowledgement number. */
export function withAck(frame: Uint8Array, ack: number): Uint8Array {
  const copy = frame.slice();
  setTcpAck(copy, l4(copy), ack);
  fixChecksums(copy, 0, copy.length);
  return copy;
}

const l4 = (frame: Uint8Array): number => ETH.size + ipv4HeaderLength(frame, ETH.size);
