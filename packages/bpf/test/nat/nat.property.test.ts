import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, TCP_SYN } from '@ciliate/packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  address,
  answerTo,
  build,
  errorAbout,
  flowOf,
  icmp,
  quotedBy,
  reversed,
  tcp,
  udp,
  wrongChecksums,
} from '../frames.ts';
import { propertyRuns } from '../random.ts';
import { Node } from './node.ts';
import { badToTshark, hasTshark } from './tshark.ts';

/** What NAT does to a packet it undoes in the answer, and every checksum that it touches is right. */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const options = { seed, numRuns: propertyRuns };
/** Milliseconds for a property: with the runs of CI it takes longer than other tests. */
const LONG = 300_000;

const PODS = { v4: ['10.244.1.11', '10.244.1.12'], v6: ['fd00:10:244:1::b', 'fd00:10:244:1::c'] };
const WORLD = { v4: ['192.0.2.7', '198.51.100.9'], v6: ['2001:db8:1::7', '2001:db8:2::9'] };
const ROUTER = { v4: '203.0.113.1', v6: '2001:db8:ffff::1' };
const NODE = { v4: '0a000001', v6: 'fd000010000000000000000000000001' };
const ECHO = { v4: 8, v6: 128 };
/** Type and code: unreachable, time exceeded; in IPv6 also too big. */
const ERRORS = {
  v4: [
    [3, 1],
    [3, 3],
    [3, 4],
    [11, 0],
  ],
  v6: [
    [1, 4],
    [2, 0],
    [3, 0],
  ],
} as const;
/** Of an ICMPv4 error without IP options. */
const ICMP_CHECKSUM = 36;
const ICMPV6_PKT_TOOBIG = 2;
const FAMILIES = ['v4', 'v6'] as const;
type FamilyName = (typeof FAMILIES)[number];

// Few values, so that flows differ in one thing only; ports below, in and at the ends of the range that NAT takes.
const flow = fc.record({
  protocol: fc.constantFrom(IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP),
  pod: fc.nat(1),
  world: fc.nat(1),
  sport: fc.oneof(fc.constantFrom(1, 80, 32_767, 32_768, 40_000, 65_535), fc.integer({ min: 1, max: 65_535 })),
  dport: fc.constantFrom(53, 443),
  payload: fc.uint8Array({ maxLength: 60 }),
});
const flows = fc.array(flow, { minLength: 1, maxLength: 20 });
type FlowSpec = typeof flow extends fc.Arbitrary<infer T> ? T : never;

function frameOf(spec: FlowSpec, family: FamilyName): Uint8Array {
  const { protocol, sport, dport, payload } = spec;
  let l4 = tcp(sport, dport, TCP_SYN, payload);
  if (protocol === IPPROTO_UDP) l4 = udp(sport, dport, payload);
  if (protocol === IPPROTO_ICMP) l4 = icmp(ECHO[family], 0, sport, payload);
  return build({ src: address(PODS[family][spec.pod]!), dst: address(WORLD[family][spec.world]!), protocol, l4 });
}

const textOf = (frame: Uint8Array): string => JSON.stringify(flowOf(frame));

/** All that left the node with right checksums, for a second opinion. */
const sent: Uint8Array[] = [];

function expectValid(frame: Uint8Array): void {
  expect(wrongChecksums(frame)).toEqual([]);
  if (sent.length < 20_000) sent.push(frame);
}

describe.each(FAMILIES)('masquerading, IP%s', (family) => {
  const node = new Node('masq-v4');

  test(
    'gives each flow an address and port of the node, and the same one to all its packets',
    () => {
      const property = fc.property(flows, (specs) => {
        const translations = new Map<string, string>();
        for (const frame of [...specs, ...specs].map((spec) => frameOf(spec, family))) {
          const translated = node.toNetdev(frame);
          expectValid(translated);
          const { src, sport, ...rest } = flowOf(translated);
          expect([src, sport > 0]).toEqual([NODE[family], true]);
          expect({ ...flowOf(frame), ...rest }).toEqual(flowOf(frame));
          expect(translations.get(textOf(frame)) ?? textOf(translated)).toBe(textOf(translated));
          translations.set(textOf(frame), textOf(translated));
        }
        expect(new Set(translations.values()).size).toBe(translations.size);
      });
      fc.assert(property, options);
    },
    LONG,
  );

  test(
    'is undone in the answer, byte for byte',
    () => {
      const property = fc.property(flows, fc.boolean(), (specs, backwards) => {
        const pairs = specs.map((spec) => frameOf(spec, family)).map((frame) => [frame, node.toNetdev(frame)] as const);
        for (const [frame, translated] of backwards ? pairs.reverse() : pairs) {
          const answer = node.fromNetdev(answerTo(translated));
          expectValid(answer);
          expect(answer).toEqual(answerTo(frame));
        }
      });
      fc.assert(property, options);
    },
    LONG,
  );

  test(
    'a pod that sends an error about an answer quotes the answer that came to the node',
    () => {
      const property = fc.property(flows, fc.constantFrom(...ERRORS[family]), (specs, [type, code]) => {
        for (const frame of specs.map((spec) => frameOf(spec, family))) {
          const answer = answerTo(node.toNetdev(frame));
          const error = errorAbout(node.fromNetdev(answer), type, code);
          const wanted = errorAbout(answer, type, code);
          if (family === 'v4') keepChecksum(wanted, error);
          else expectValid(wanted);
          expect(node.toNetdev(error)).toEqual(wanted);
        }
      });
      fc.assert(property, options);
    },
    LONG,
  );
});

/** Known defect of Cilium: what an ICMPv4 error quotes is changed, and the error's own checksum is not. */
function keepChecksum(wanted: Uint8Array, error: Uint8Array): void {
  wanted.set(error.subarray(ICMP_CHECKSUM, ICMP_CHECKSUM + 2), ICMP_CHECKSUM);
}

test(
  'an ICMPv4 error about a translated packet comes to the pod, and quotes the packet that the pod sent',
  () => {
    const node = new Node('masq-v4');
    const property = fc.property(
      flows,
      fc.constantFrom(...ERRORS.v4),
      fc.boolean(),
      (specs, [type, code], byRouter) => {
        for (const frame of specs.map((spec) => frameOf(spec, 'v4'))) {
          const router = byRouter ? address(ROUTER.v4) : undefined;
          const error = errorAbout(node.toNetdev(frame), type, code, router);
          const wanted = errorAbout(frame, type, code, router);
          keepChecksum(wanted, error);
          expect(node.fromNetdev(error)).toEqual(wanted);
          expectValid(quotedBy(wanted));
        }
      },
    );
    fc.assert(property, options);
  },
  LONG,
);

// Known defects of Cilium: unreachable and time exceeded are not looked at; too big is read 4 bytes too early, where its
// MTU stands: the protocol is then taken from the flow label of what it quotes.
test.each(ERRORS.v6)('an ICMPv6 error of type %i, code %i does not come to the pod', (type, code) => {
  const node = new Node('masq-v4');
  const spec: FlowSpec = { protocol: IPPROTO_UDP, pod: 0, world: 0, sport: 1, dport: 443, payload: new Uint8Array(0) };
  const error = errorAbout(node.toNetdev(frameOf(spec, 'v6')), type, code);
  if (type === ICMPV6_PKT_TOOBIG) expect(() => node.fromNetdev(error)).toThrow('dropped: 134');
  else expect(node.fromNetdev(error)).toEqual(error);
});

test('an error that quotes too little of a TCP segment to have its checksum is dropped', () => {
  const node = new Node('masq-v4');
  const spec: FlowSpec = { protocol: IPPROTO_TCP, pod: 0, world: 0, sport: 1, dport: 443, payload: new Uint8Array(0) };
  const error = errorAbout(node.toNetdev(frameOf(spec, 'v4')), 11, 0, undefined, 28);
  expect(() => node.fromNetdev(error)).toThrow('dropped: 154');
});

const NODE_PORT = 30_080;
const REMOTE_NODE_PORT = 30_081;
const CLIENT_PORTS = fc.array(fc.integer({ min: 1024, max: 65_535 }), { minLength: 1, maxLength: 10 });
const SERVICES = [
  { family: 'v4', scenario: 'nodeport-hostrouting-v4', node: '10.0.0.1', client: '192.0.2.7' },
  { family: 'v6', scenario: 'nodeport-native-noagg-v6', node: 'fd00:10::1', client: '2001:db8:1::7' },
] as const;

describe.each(SERVICES)('services, IP$family', ({ family, scenario, node: own, client }) => {
  const node = new Node(scenario);
  const segment = (src: string, sport: number, port: number, flags: number): Uint8Array =>
    build({ src: address(src), dst: address(own), protocol: IPPROTO_TCP, l4: tcp(sport, port, flags) });

  test(
    "a pod knows its service's backend only by the service's address",
    () => {
      const property = fc.property(CLIENT_PORTS, (ports) => {
        for (const port of ports) {
          const frame = segment(PODS[family][0]!, port, NODE_PORT, TCP_SYN);
          const toBackend = node.fromContainer(frame, 101);
          expectValid(toBackend);
          expect(flowOf(toBackend)).toMatchObject({ src: flowOf(frame).src, sport: port, dport: 8080 });
          const answer = node.fromContainer(answerTo(toBackend), 102);
          expectValid(answer);
          expect(flowOf(answer)).toEqual(reversed(flowOf(frame)));
        }
      });
      fc.assert(property, options);
    },
    LONG,
  );

  test(
    'a client from outside knows a backend here only by the node port',
    () => {
      const property = fc.property(CLIENT_PORTS, (ports) => {
        for (const port of ports) {
          const frame = segment(client, port, NODE_PORT, TCP_SYN);
          let toBackend = node.fromNetdev(frame);
          expectValid(toBackend);
          if (!node.world.datapath.config.hostRouting) toBackend = node.fromHost(toBackend);
          const sentBack = node.fromContainer(answerTo(toBackend), 102);
          // With host routing the pod's program does it, else the one at the network device.
          const answer = flowOf(sentBack).sport === NODE_PORT ? sentBack : node.toNetdev(sentBack);
          expectValid(answer);
          expect(flowOf(answer)).toEqual(reversed(flowOf(frame)));
        }
      });
      fc.assert(property, options);
    },
    LONG,
  );
});

/** From a port that NAT may not take. */
const toRemoteBackend = (port: number): Uint8Array => {
  const l4 = tcp(port, REMOTE_NODE_PORT, TCP_SYN);
  return build({ src: address('192.0.2.7'), dst: address('10.0.0.1'), protocol: IPPROTO_TCP, l4 });
};

test(
  'a client from outside knows a backend on another node only by the node port',
  () => {
    const node = new Node('nodeport-hostrouting-v4');
    const property = fc.property(CLIENT_PORTS, (ports) => {
      for (const frame of ports.map(toRemoteBackend)) {
        const toBackend = node.fromNetdev(frame);
        expectValid(toBackend);
        expect(flowOf(toBackend).src).toBe(NODE.v4);
        const answer = node.fromNetdev(answerTo(toBackend));
        expectValid(answer);
        expect(flowOf(answer)).toEqual(reversed(flowOf(frame)));
      }
    });
    // Not more: NAT tries 32 ports only, and all these connections share the ports to one backend.
    fc.assert(property, { seed, numRuns: 100 });
  },
  LONG,
);

test('connections that cannot keep their ports get different ones, spread over all that NAT may take', () => {
  const node = new Node('nodeport-hostrouting-v4');
  const ports = Array.from({ length: 300 }, (_, i) => flowOf(node.fromNetdev(toRemoteBackend(1024 + i))).sport);
  expect(new Set(ports).size).toBe(300);
  for (const from of [32_768, 40_960, 49_152, 57_344])
    expect(ports.filter((port) => port >= from && port < from + 8192).length).toBeGreaterThan(40);
});

test.skipIf(!hasTshark)(
  `tshark finds the same checksums good${hasTshark ? '' : ' [skipped: tshark not installed]'}`,
  () => {
    expect(sent.length).toBeGreaterThan(1000);
    const spoilt = sent[0]!.slice();
    spoilt[spoilt.length - 1]! ^= 1;
    expect(badToTshark([...sent, spoilt])).toEqual([sent.length]);
  },
  LONG,
);
