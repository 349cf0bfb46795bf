import {
  ETH,
  fixChecksums,
  isIpv6,
  parseFrame,
  setIpv4Dst,
  setIpv4Src,
  setIpv6Dst,
  setIpv6Src,
  setTcpAck,
  setTcpDstPort,
  setTcpSrcPort,
} from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';

/** The recorded frame of an answer, as it goes from the server that was asked to whom it saw asking: of the same family. */
export function withEnds(frame: Uint8Array, from: PeerAddress, to: PeerAddress): Uint8Array {
  const copy = frame.slice();
  if (isIpv6(from.address)) setIpv6Src(copy, ETH.size, from.address);
  else setIpv4Src(copy, ETH.size, from.address);
  if (isIpv6(to.address)) setIpv6Dst(copy, ETH.size, to.address);
  else setIpv4Dst(copy, ETH.size, to.address);
  const { tcp, udp } = parseFrame(copy);
  const l4 = tcp ?? udp;
  if (l4 !== undefined) {
    // TCP and UDP have their ports in the same places.
    setTcpSrcPort(copy, l4.at, from.port);
    setTcpDstPort(copy, l4.at, to.port);
  }
  fixChecksums(copy, 0, copy.length);
  return copy;
}

/** The recorded TCP segment with another acknowledgement number. */
export function withAck(frame: Uint8Array, ack: number): Uint8Array {
  const copy = frame.slice();
  setTcpAck(copy, parseFrame(copy).tcp!.at, ack);
  fixChecksums(copy, 0, copy.length);
  return copy;
}
