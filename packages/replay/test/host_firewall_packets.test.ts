import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { openCapture, parseFrame, TCP_ACK, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { replayPackets } from '../src/index.ts';
import { CLUSTER, ip, temporaryFolder, writeCapture } from './support.ts';

// The node's own connections, and those of pods that leave under its address, beside one another.

const folder = temporaryFolder();
const NODE = ip('192.168.1.1');
const SERVER = ip('198.18.0.9');
const POLICY = `
apiVersion: v1
kind: Node
metadata: { name: worker-1, labels: { role: edge } }
status: { addresses: [{ type: InternalIP, address: 192.168.1.1 }] }
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: edge }
spec:
  nodeSelector: { matchLabels: { role: edge } }
  ingress:
    - fromEntities: [world]
      toPorts: [{ ports: [{ port: "443", protocol: TCP }] }]
  egress:
    - toCIDR: [198.18.0.0/16]
---`;

let agent: Agent;
beforeAll(async () => {
  const store = new ObjectStore();
  for (const object of decodeObjects(`${CLUSTER}${POLICY}`, 'cluster.yaml')) store.apply(object);
  const options = { enableHostFirewall: true, enableIpv4Masquerade: true };
  agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }), ...options });
});
afterAll(() => agent.stop());

async function replay(path: string, workers: number) {
  const writePcap = join(folder, 'out.pcapng');
  const { timings: _, ...result } = await replayPackets(agent, path, { workers, writePcap });
  return { result, bytes: readFileSync(writePcap), frames: [...openCapture(writePcap)].map(({ data }) => data) };
}

const opens = (src: number, srcPort: number, dst: number, dstPort: number): Uint8Array =>
  tcpSegment({ src, dst, srcPort, dstPort, seq: 1, flags: TCP_SYN });

test('the host firewall judges alike with any number of workers, and NAT keeps the node and pods apart', async () => {
  const path = join(folder, 'out-and-in.pcapng');
  const sent = Array.from({ length: 150 }, (_, i) => {
    const port = 40_000 + Math.floor(i / 3);
    const far = i % 9 === 8 ? ip('203.0.113.9') : SERVER; // where the node may not go, but pods may
    if (i % 3 === 0) return ['default/client-1', opens(ip('10.0.0.1'), port, SERVER, 443)] as const;
    if (i % 3 === 1) return ['default/client-2', opens(ip('10.0.0.2'), port, SERVER, 443)] as const;
    return ['eth0', opens(NODE, port, far, 443)] as const;
  });
  const asked = Array.from({ length: 60 }, (_, i) => {
    const port = i % 2 === 0 ? 443 : 22;
    return ['eth0', opens(ip('198.18.1.1') + i, 50_000 + i, NODE, port)] as const;
  });
  writeCapture(path, [...sent, ...asked]);
  const first = await replay(path, 1);
  const ports = first.frames
    .slice(0, sent.length)
    .map((frame) => parseFrame(frame))
    .filter(({ ipv4 }) => ipv4!.src === NODE && ipv4!.dst === SERVER)
    .map(({ tcp }) => tcp!.srcPort);
  expect(ports.length).toBeGreaterThan(100);
  expect(new Set(ports).size).toBe(ports.length);
  expect(first.result.fates.dropped.packets).toBe(30 + sent.filter((_, i) => i % 9 === 8).length);

  const answers = first.frames.slice(0, sent.length).flatMap((frame, i) => {
    const { ipv4, tcp } = parseFrame(frame);
    if (ipv4!.dst !== SERVER) return [];
    const ends = { src: ipv4!.dst, dst: ipv4!.src, srcPort: tcp!.dstPort, dstPort: tcp!.srcPort };
    return [sent[i]!, ['eth0', tcpSegment({ ...ends, seq: 9, ack: tcp!.seq + 1, flags: TCP_SYN | TCP_ACK })] as const];
  });
  writeCapture(path, [...answers, ...asked]);
  const one = await replay(path, 1);
  expect(one.result.fates['to-endpoint'].packets).toBe(100);
  const many = await replay(path, 3);
  expect(many.result).toEqual(one.result);
  expect(many.bytes.equals(one.bytes)).toBe(true);
});
