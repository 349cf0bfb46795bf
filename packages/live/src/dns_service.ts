import { DnsFrames, dnsFrame } from './net/dns_frames.ts';
import type { Stack } from './net/stack.ts';
import type { TcpEnd, TcpEvents } from './net/tcp_end.ts';
import type { ClusterDns } from './servers/cluster_dns.ts';

/** Datagrams to the port are questions. @param port undefined: the pod serves no DNS */
export function serveDns(stack: Stack, port: number | undefined, dns: ClusterDns): void {
  stack.onDatagram = (to) => {
    if (to.port !== port) return undefined;
    return (query, _from, reply) => {
      const answer = dns.answer(query, 'UDP');
      if (answer !== undefined) reply(answer);
    };
  };
}

/** A connection on which questions come. */
export function dnsConnection(end: TcpEnd, dns: ClusterDns): TcpEvents {
  const frames = new DnsFrames();
  return {
    onData: (bytes) => {
      for (const query of frames.feed(bytes)) {
        const answer = dns.answer(query, 'TCP');
        if (answer !== undefined) end.write(dnsFrame(answer));
      }
    },
    onEnd: () => end.finish(),
    onReset: () => {},
    onTimeout: () => {},
    onDrain: () => {},
    onClosed: () => {},
  };
}
