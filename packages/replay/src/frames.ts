import {
  ETH,
  fixChecksums,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipv4HeaderLength,
  ipv4Protocol,
  setIpv4Dst,
  setIpv4Src,
  setTcpAck,
  setTcpDstPort,
  setTcpSrcPort,
} from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';

/** The recorded frame of an answer, as it goes from the server that was asked to whom it saw asking. */
export function withEnds(frame: Uint8Array, from: PeerAddress, to: PeerAddress): Uint8Array {
  const copy = frame.slice();
  setIpv4Src(copy, ETH.size, from.address);
  setIpv4Dst(copy, ETH.size, to.address);
  const protocol = ipv4Protocol(copy, ETH.size);
  if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) {
    // TCP and UDP have their ports in the same places.
    setTcpSrcPort(copy, l4(copy), from.port);
    setTcpDstPort(copy, l4(copy), to.port);
  }
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
