import { le16 } from '../text.ts';
import { METRICS_KEY } from './layout.ts';

/** Reasons that are no drops; 130 and above are drop codes. Source: pkg/monitor/api/drop.go. */
const REASONS: Readonly<Record<number, string>> = {
  0: 'Success',
  2: 'Invalid packet',
  3: 'Interface',
  4: 'Interface Decrypted',
  5: 'LB, sock cgroup: No backend slot entry found',
  6: 'LB, sock cgroup: No backend entry found',
  7: 'LB, sock cgroup: Reverse entry update failed',
  8: 'LB, sock cgroup: Reverse entry stale',
  9: 'Fragmented packet',
  10: 'Fragmented packet entry update failed',
  11: 'Missed tail call to custom program',
  12: 'Interface Decrypting',
  13: 'Interface Encrypting',
};
const DIRECTIONS = ['UNKNOWN', 'INGRESS', 'EGRESS', 'SERVICE'];

/** Numbers of Cilium's source files. Source: pkg/monitor/api/files.go. */
const FILES: Readonly<Record<number, string>> = {
  1: 'bpf_host.c',
  2: 'bpf_lxc.c',
  3: 'bpf_overlay.c',
  4: 'bpf_xdp.c',
  5: 'bpf_sock.c',
  6: 'bpf_network.c',
  7: 'bpf_wireguard.c',
  101: 'arp.h',
  102: 'drop.h',
  103: 'srv6.h',
  104: 'icmp6.h',
  105: 'nodeport.h',
  106: 'lb.h',
  107: 'mcast.h',
  108: 'ipv4.h',
  109: 'conntrack.h',
  110: 'local_delivery.h',
  111: 'trace.h',
  112: 'encap.h',
  113: 'encrypt.h',
  114: 'host_firewall.h',
  115: 'nodeport_egress.h',
  116: 'ipv6.h',
  117: 'classifiers.h',
};

/** A key of cilium_metrics in words. */
export interface MetricsKeyText {
  reason: string;
  /** Upper case. */
  direction: string;
  line: number;
  file: string;
}

/** @param dropText the text of a drop code, 130..255 */
export function metricsKeyText(key: Uint8Array, dropText: (code: number) => string): MetricsKeyText {
  const reason = key[METRICS_KEY.reason]!;
  const file = key[METRICS_KEY.file]!;
  return {
    reason: REASONS[reason] ?? dropText(reason),
    direction: DIRECTIONS[key[METRICS_KEY.dir]!] ?? 'UNKNOWN',
    line: le16(key, METRICS_KEY.line),
    file: FILES[file] ?? `unknown(${file})`,
  };
}
