import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, TCP_ACK, TCP_SYN } from '@ciliate/packet';
import { describe, expect, test } from 'vitest';
import { START_SECONDS, World } from '../src/conformance/world.ts';
import {
  CTX_ACT_DROP,
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  cilFromContainer,
  cilFromHost,
  cilFromNetdev,
  cilToContainer,
  cilToHost,
  cilToNetdev,
  Datapath,
  identityMark,
} from '../src/index.ts';
import { clearTable, readTable } from './conntrack/table.ts';
import { address, answerTo, build, icmp, join, sctp, tcp, udp } from './frames.ts';
import { HOST_ENDPOINT, type HostRule, withHostFirewall } from './host_firewall.ts';

/** The node's own policy. Sources of what is expected: bpf/lib/host_firewall.h, bpf/bpf_host.c, bpf/bpf_lxc.c. */
const NODE = address('10.0.0.1');
const NODE6 = address('fd00:10::1');
const POD = address('10.244.1.11');
const SERVER_POD = address('10.244.1.12');
const CLIENT = address('192.0.2.7');
const CLIENT6 = address('2001:db8:1::7');
const OTHER_NODE = address('10.0.0.2');
/** Identity of CLIENT in the recorded ipcache, and of CLIENT6. */
const CLIENT_ID = 0x0100_0001;
const POD_ID = 10_001;
const MARK_HOST = 0x0c00;
const MARK_IDENTITY = 0x0f00;
const MARK_SNAT_DONE = 0x0300;

const NATIVE = 'tcp-local-native-v4';
const MASQ = 'masq-v4';
const ENDPOINT_ROUTES = 'rnd-0088-eproutes';
const KUBE_PROXY_VXLAN = 'verdicts-kubeproxy-vxlan-v4';

const ssh: HostRule = { protocol: IPPROTO_TCP, port: 22 };
const https: HostRule = { egress: true, protocol: IPPROTO_TCP, port: 443 };

const segment = (src: Uint8Array, dst: Uint8Array, sport: number, dport: number, flags = TCP_SYN): Uint8Array =>
  build({ src, dst, protocol: IPPROTO_TCP, l4: tcp(sport, dport, flags) });

/** What came of a packet, in the order and words of the events. */
interface Result {
  ret: number;
  /** `drop CODE from LABEL`, `verdict LABEL PORT in|out: VERDICT`, `trace POINT from LABEL reason R` */
  said: string[];
  frame: Uint8Array;
}

class Host {
  readonly world: World;
  readonly #isV6: boolean;

  constructor(scenario: string, rules: readonly HostRule[], defines: readonly string[] = [], isV6 = false) {
    this.world = new World(withHostFirewall(scenario, rules, defines));
    this.world.memory.nowNs = BigInt(START_SECONDS) * 1_000_000_000n;
    this.#isV6 = isV6;
  }

  fromNetdev = (frame: Uint8Array): Result => this.#run(frame, 5, 0, (dp) => cilFromNetdev(dp, this.world.skb));
  fromHost = (frame: Uint8Array, mark = MARK_HOST): Result =>
    this.#run(frame, 2, mark, (dp) => cilFromHost(dp, this.world.skb));
  toNetdev = (frame: Uint8Array, mark = MARK_HOST): Result =>
    this.#run(frame, 5, mark, (dp) => cilToNetdev(dp, this.world.skb));
  toHost = (frame: Uint8Array, mark = 0): Result => this.#run(frame, 3, mark, (dp) => cilToHost(dp, this.world.skb));
  fromContainer = (frame: Uint8Array, id = 101): Result =>
    this.#run(frame, 11, 0, (dp) => cilFromContainer(dp, dp.program(id)!, this.world.skb));
  toContainer = (frame: Uint8Array, mark: number, id = 102): Result =>
    this.#run(frame, 12, mark, (dp) => cilToContainer(dp, dp.program(id)!, this.world.skb));

  #run(frame: Uint8Array, ifindex: number, mark: number, program: (dp: Datapath) => number): Result {
    const { datapath, skb, events } = this.world;
    skb.load(frame, ifindex, mark);
    const ret = program(datapath);
    const said: string[] = [];
    events.drain((event) => said.push(textOf(event)));
    return { ret, said, frame: skb.frame() };
  }

  /** Names of the tracked connections, and who opened each; without those for errors. */
  connections(): string[] {
    return [...readTable(this.world, this.#isV6)]
      .filter(([name]) => !name.includes('error'))
      .map(([name, { facts }]) => `${name} by ${facts.identity}`);
  }
}

const POINTS = ['to-lxc', 'to-proxy', 'to-host', 'to-stack', 'to-overlay', 'from-lxc', 'from-proxy', 'from-host'];
POINTS.push('from-stack', 'from-overlay', 'from-network', 'to-network');

function textOf(event: Uint8Array): string {
  const view = new DataView(event.buffer);
  const label = view.getUint32(16, true);
  const source = view.getUint16(2, true);
  const by = source === HOST_ENDPOINT ? '' : ` by ${source}`;
  if (event[0] === 1) return `drop ${event[1]} from ${label}${by}`;
  if (event[0] === 4) return `${POINTS[event[1]!]} from ${label}, reason ${event[26]}${by}`;
  const direction = (event[27]! & 3) === 1 ? 'from' : 'to';
  return `verdict ${direction} ${label} port ${view.getUint16(24, true)}: ${view.getInt32(20, true)}${by}`;
}

describe('what comes to the node', () => {
  test('without a rule that allows it is dropped, and told', () => {
    const host = new Host(NATIVE, [ssh]);
    const { ret, said } = host.fromNetdev(segment(CLIENT, NODE, 5000, 80));
    expect(ret).toBe(CTX_ACT_DROP);
    expect(said).toEqual([`verdict from ${CLIENT_ID} port 80: -133`, `drop 133 from ${CLIENT_ID}`]);
    expect(host.connections()).toEqual([]);
    expect(host.world.skb.packetType).toBe(0);
  });

  test('with one it goes to the stack, and its connection is tracked', () => {
    const host = new Host(NATIVE, [ssh]);
    const { ret, said } = host.fromNetdev(segment(CLIENT, NODE, 5000, 22));
    expect(ret).toBe(CTX_ACT_OK);
    expect(said).toEqual([`verdict from ${CLIENT_ID} port 22: 0`]);
    expect(host.connections()).toEqual([`ingress tcp 7:5000 -> 1:22 by ${CLIENT_ID}`]);
    expect(host.world.skb.packetType).toBe(0);
    // The node's answer needs no rule; a second packet is told no more.
    expect(host.toNetdev(segment(NODE, CLIENT, 22, 5000, TCP_SYN | TCP_ACK)).ret).toBe(CTX_ACT_OK);
    expect(host.fromNetdev(segment(CLIENT, NODE, 5000, 22, TCP_ACK))).toMatchObject({ ret: CTX_ACT_OK, said: [] });
  });

  const rows: [name: string, rules: HostRule[], want: string[]][] = [
    [
      'a deny beats an allow',
      [{}, { ...ssh, deny: true }],
      [`verdict from ${CLIENT_ID} port 22: -181`, `drop 181 from ${CLIENT_ID}`],
    ],
    [
      'a rule for another identity does not count',
      [{ ...ssh, identity: 1234 }],
      [`verdict from ${CLIENT_ID} port 22: -133`, `drop 133 from ${CLIENT_ID}`],
    ],
    ['a rule for this identity does', [{ ...ssh, identity: CLIENT_ID }], [`verdict from ${CLIENT_ID} port 22: 0`]],
    ['what is allowed by default is not told', [{}], []],
    [
      'what is denied by default is',
      [{ deny: true }],
      [`verdict from ${CLIENT_ID} port 22: -181`, `drop 181 from ${CLIENT_ID}`],
    ],
    [
      'a rule about what leaves says nothing about what comes',
      [{ egress: true }],
      [`verdict from ${CLIENT_ID} port 22: -133`, `drop 133 from ${CLIENT_ID}`],
    ],
    [
      'a redirect to a proxy is told, and not followed',
      [{ ...ssh, proxyPort: 10_000 }],
      [`verdict from ${CLIENT_ID} port 22: ${0x1027}`],
    ],
  ];

  test.each(rows)('%s', (_, rules, want) => {
    const { ret, said } = new Host(NATIVE, rules).fromNetdev(segment(CLIENT, NODE, 5000, 22));
    expect(said).toEqual(want);
    expect(ret).toBe(want.some((text) => text.startsWith('drop')) ? CTX_ACT_DROP : CTX_ACT_OK);
  });

  test('authentication is asked for, also of a source that the ipcache does not know', () => {
    const host = new Host(NATIVE, [{ ...ssh, auth: 1 }]);
    for (const source of [CLIENT, address('8.8.8.8')]) {
      const signals: Uint8Array[] = [];
      const { ret, said } = host.fromNetdev(segment(source, NODE, 5000, 22));
      host.world.signals.drain((signal) => signals.push(signal));
      expect([ret, said.length, signals.length]).toEqual([CTX_ACT_DROP, 2, 1]);
      expect(said[0]).toContain('port 22: -189');
    }
  });

  test('in audit mode what policy would drop passes, and is told', () => {
    const { ret, said } = new Host(NATIVE, [ssh], ['POLICY_AUDIT_MODE']).fromNetdev(segment(CLIENT, NODE, 5000, 80));
    expect([ret, said]).toEqual([CTX_ACT_OK, [`verdict from ${CLIENT_ID} port 80: 0`]]);
  });

  /** What the ipcache says of everybody else. */
  const EVERYBODY = { v4: '200000000000000100', v6: '200000000000000200' };
  const NOBODY = { v4: address('8.8.8.8'), v6: address('2001:dead::1') };

  test('a source that the ipcache does not know has identity 0 in IPv4 and world in IPv6', () => {
    for (const [family, node, want] of [
      ['v4', NODE, 0],
      ['v6', NODE6, 10],
    ] as const) {
      const host = new Host(NATIVE, []);
      host.world.delete('cilium_ipcache_v2', EVERYBODY[family].padEnd(48, '0'));
      const { said } = host.fromNetdev(segment(NOBODY[family], node, 5000, 22));
      expect(said).toEqual([`verdict from ${want} port 22: -133`, 'drop 133 from 0']);
    }
  });

  test('but 0 also in IPv6 where NAT knows the packet, which the firewall then sees first', () => {
    const host = new Host(MASQ, [{ egress: true }], [], true);
    host.world.delete('cilium_ipcache_v2', EVERYBODY.v6.padEnd(48, '0'));
    const { frame } = host.toNetdev(segment(NODE6, NOBODY.v6, 40_000, 443));
    clearTable(host.world);
    expect(host.fromNetdev(answerTo(frame)).said).toEqual(['verdict from 0 port 40000: -133', 'drop 133 from 0']);
  });

  test('a packet to a pod is none of its business', () => {
    const host = new Host(NATIVE, []);
    const result = host.fromNetdev(segment(CLIENT, POD, 5000, 80));
    expect([result.ret, result.said, host.connections()]).toEqual([CTX_ACT_OK, [], []]);
    expect(host.world.skb.packetType).toBeUndefined();
  });

  test('a protocol that conntrack does not know is dropped', () => {
    const frame = build({ src: CLIENT, dst: NODE, protocol: 132, l4: sctp(5000, 22) });
    expect(new Host(NATIVE, [{}]).fromNetdev(frame).said).toEqual([`drop 137 from ${CLIENT_ID}`]);
  });

  const strangers: [name: string, type: [number, number], want: string[]][] = [
    ['ARP passes', [0x08, 0x06], []],
    ['another protocol of the network layer is dropped', [0x88, 0xcc], ['drop 139 from 0']],
    ['a frame of no Ethernet type is dropped', [0x01, 0x00], ['drop 166 from 0']],
  ];

  test.each(strangers)('%s at the device, on both ways', (_, type, want) => {
    const host = new Host(NATIVE, [{}]);
    const frame = segment(CLIENT, NODE, 5000, 22);
    frame.set(type, 12);
    expect(host.fromNetdev(frame).said).toEqual(want);
    const leaving = host.toNetdev(frame, 0);
    expect(leaving.said.filter((text) => text.startsWith('drop'))).toEqual(want);
    expect(leaving.ret).toBe(want.length === 0 ? CTX_ACT_OK : CTX_ACT_DROP);
  });

  test('the answer to what a pod sent out by the node is not asked about, nor is the same packet asked about twice', () => {
    const host = new Host(MASQ, []);
    const { frame } = host.toNetdev(segment(POD, CLIENT, 5000, 443), identityMark(POD_ID, MARK_IDENTITY));
    expect(frame.subarray(26, 30)).toEqual(NODE);
    const answer = host.fromNetdev(answerTo(frame));
    expect(answer).toMatchObject({ ret: CTX_ACT_OK, said: [] });
    expect(answer.frame.subarray(30, 34)).toEqual(POD);
    expect(host.world.skb.tcIndex).toBe(0);
  });

  test("the answer to the node's own connection comes back through NAT's table, once by the firewall", () => {
    const host = new Host(MASQ, [https]);
    const syn = host.toNetdev(segment(NODE, CLIENT, 40_000, 443));
    expect(syn.ret).toBe(CTX_ACT_OK);
    expect(host.connections()).toEqual(['egress tcp 1:40000 -> 7:443 by 1']);
    expect(host.fromNetdev(answerTo(syn.frame))).toMatchObject({ ret: CTX_ACT_OK, said: [] });
    expect(host.world.skb.tcIndex).toBe(0);
    // Each of the two packets was counted once by the firewall and once by NAT.
    expect([...readTable(host.world, false).values()].map(({ packets }) => packets).filter((n) => n > 0)).toEqual([4]);
  });
});

describe('what the node sends', () => {
  test('without a rule that allows is dropped on its way out, and told', () => {
    const host = new Host(NATIVE, [https]);
    const { ret, said } = host.toNetdev(segment(NODE, CLIENT, 5000, 80));
    expect(ret).toBe(CTX_ACT_DROP);
    expect(said).toEqual([`verdict to ${CLIENT_ID} port 80: -133`, 'drop 133 from 1']);
  });

  test('with one leaves, and the answer needs none', () => {
    const host = new Host(NATIVE, [https]);
    const { ret, said } = host.toNetdev(segment(NODE, CLIENT, 5000, 443));
    expect(ret).toBe(CTX_ACT_OK);
    expect(said).toEqual([`verdict to ${CLIENT_ID} port 443: 0`]);
    expect(host.connections()).toEqual(['egress tcp 1:5000 -> 7:443 by 1']);
    const answer = host.fromNetdev(segment(CLIENT, NODE, 443, 5000, TCP_SYN | TCP_ACK));
    expect(answer).toMatchObject({ ret: CTX_ACT_OK, said: [] });
  });

  test('without node ports, the trace says what conntrack found', () => {
    const host = new Host(NATIVE, [https], ['-ENABLE_NODEPORT']);
    expect(host.toNetdev(segment(NODE, CLIENT, 5000, 443)).said.at(-1)).toBe('to-network from 1, reason 0');
    const other = host.toNetdev(segment(POD, CLIENT, 5000, 443), identityMark(POD_ID, MARK_IDENTITY));
    expect(other.said).toEqual([]); // an unknown reason is not worth a report at this aggregation
  });

  test("a pod's packet that is only forwarded is none of its business", () => {
    const host = new Host(NATIVE, []);
    expect(host.toNetdev(segment(POD, CLIENT, 5000, 443), identityMark(POD_ID, MARK_IDENTITY)).ret).toBe(CTX_ACT_OK);
    expect(host.connections()).toEqual([]);
  });

  test("a pod's packet with the node's address is tracked, not judged, so that its answer passes", () => {
    const host = new Host(NATIVE, []);
    const result = host.toNetdev(segment(NODE, CLIENT, 5000, 443), identityMark(POD_ID, MARK_IDENTITY));
    expect([result.ret, result.said.filter((text) => text.startsWith('verdict'))]).toEqual([CTX_ACT_OK, []]);
    expect(host.connections()).toEqual(['egress tcp 1:5000 -> 7:443 by 0']);
    const answer = host.fromNetdev(segment(CLIENT, NODE, 443, 5000, TCP_SYN | TCP_ACK));
    expect(answer).toMatchObject({ ret: CTX_ACT_OK, said: [] });
  });

  test('but not where Cilium masquerades itself', () => {
    const host = new Host(MASQ, [], ['-ENABLE_NODEPORT']);
    host.toNetdev(segment(NODE, CLIENT, 5000, 443), identityMark(POD_ID, MARK_IDENTITY));
    expect(host.connections()).toEqual([]);
  });

  test('what NAT has done with already is not asked about', () => {
    const host = new Host(NATIVE, []);
    expect(host.toNetdev(segment(NODE, CLIENT, 5000, 443), MARK_SNAT_DONE | 0).ret).toBe(CTX_ACT_OK);
    expect(host.connections()).toEqual([]);
  });

  test('a rule with a proxy sends it there, by cilium_host', () => {
    const host = new Host(NATIVE, [{ ...https, proxyPort: 10_000 }]);
    const { ret, said, frame } = host.toNetdev(segment(NODE, CLIENT, 5000, 443));
    const { skb } = host.world;
    expect(ret).toBe(CTX_ACT_REDIRECT);
    expect([skb.redirectIfindex, skb.redirectFlags, skb.redirectHelper]).toEqual([2, 1, 'redirect']);
    expect(skb.mark).toBe(((0x1027 << 16) | 0x0200) >>> 0);
    expect([...frame.subarray(0, 6)]).toEqual([2, 0, 0, 0, 0, 2]);
    expect(said).toEqual([`verdict to ${CLIENT_ID} port 443: ${0x1027}`, 'to-proxy from 1, reason 0']);
  });

  test('to a pod is asked about at cilium_host', () => {
    const host = new Host(NATIVE, [https]);
    const denied = host.fromHost(segment(NODE, SERVER_POD, 5000, 80));
    expect(denied.ret).toBe(CTX_ACT_DROP);
    expect(denied.said).toEqual(['verdict to 10002 port 80: -133', 'drop 133 from 1']);
    // Allowed by the node's policy, it is up to the pod's.
    const { said } = host.fromHost(segment(NODE, SERVER_POD, 5000, 443));
    expect(said).toEqual([
      'verdict to 10002 port 443: 0',
      'verdict from 1 port 443: -133 by 102',
      'drop 133 from 1 by 102',
    ]);
  });

  test("of the proxy to a pod is not asked about: the mark names the client's identity", () => {
    const host = new Host(NATIVE, []);
    const { said } = host.fromHost(segment(CLIENT, SERVER_POD, 5000, 443), identityMark(POD_ID, 0x0b00));
    expect(said.filter((text) => !text.includes('by 102'))).toEqual([]);
  });
});

describe('between pods and their node', () => {
  // The pod's own policy allows everything.
  const open = (host: Host): Host => {
    host.world.set('policy:101', '280000000000000001000000', '0000000000000000');
    return host;
  };

  test("a pod's packet goes by cilium_net, where the node's policy is asked", () => {
    const host = open(new Host(NATIVE, [ssh]));
    const sent = host.fromContainer(segment(POD, NODE, 5000, 80));
    expect(sent.ret).toBe(CTX_ACT_REDIRECT);
    expect([host.world.skb.redirectIfindex, host.world.skb.redirectFlags]).toEqual([3, 1]);
    expect(sent.said.at(-1)).toBe(`to-host from ${POD_ID}, reason 0 by 101`);
    expect(sent.frame[22]).toBe(64);
    const denied = host.toHost(sent.frame);
    expect([denied.ret, denied.said]).toEqual([
      CTX_ACT_DROP,
      [`verdict from ${POD_ID} port 80: -133`, `drop 133 from ${POD_ID}`],
    ]);
    const allowed = host.toHost(segment(POD, NODE, 5000, 22));
    expect(allowed.ret).toBe(CTX_ACT_OK);
    expect(allowed.said).toEqual([`verdict from ${POD_ID} port 22: 0`, `to-stack from ${POD_ID}, reason 0`]);
    expect(host.world.skb.packetType).toBe(0);
  });

  test('what goes to the stack by cilium_net and not to the node is told in IPv4, in IPv6 only without aggregation', () => {
    const host = new Host(NATIVE, []);
    expect(host.toHost(segment(POD, CLIENT, 5000, 80)).said).toEqual(['to-stack from 0, reason 5']);
    expect(host.toHost(segment(address('fd00:10:244:1::b'), CLIENT6, 5000, 80)).said).toEqual([]);
  });

  test('without a firewall it goes to the stack at once', () => {
    const host = open(new Host(NATIVE, []));
    const dp = new Datapath(host.world.memory, { shard: 0, events: host.world.events, seed: 1 });
    const { skb } = host.world;
    skb.load(segment(POD, NODE, 5000, 80), 11);
    expect(cilFromContainer(dp, host.world.datapath.program(101)!, skb)).toBe(CTX_ACT_OK);
    skb.load(segment(POD, NODE, 5000, 80), 3);
    expect(cilToHost(dp, skb)).toBe(CTX_ACT_OK);
  });

  test('a packet to the proxy is not asked about', () => {
    const host = new Host(NATIVE, []);
    expect(host.toHost(segment(POD, NODE, 5000, 80), 0x1027_0200)).toMatchObject({ ret: CTX_ACT_OK, said: [] });
    expect([host.world.skb.mark, host.world.skb.packetType]).toEqual([0x1027_0200, 0]);
  });

  test("with endpoint routes the pod's program asks the node's", () => {
    const host = open(new Host(ENDPOINT_ROUTES, [ssh]));
    const denied = host.fromContainer(segment(POD, NODE, 5000, 80));
    expect(denied.ret).toBe(CTX_ACT_DROP);
    expect(denied.said.slice(-2)).toEqual([`verdict from ${POD_ID} port 80: -133`, `drop 133 from ${POD_ID}`]);
    const allowed = host.fromContainer(segment(POD, NODE, 5000, 22));
    expect(allowed.ret).toBe(CTX_ACT_OK);
    expect(allowed.said.at(-1)).toBe(`verdict from ${POD_ID} port 22: 0`); // nothing about the stack
  });

  test("with endpoint routes the node's packet to a pod is asked about twice: as the node's, then as the pod's", () => {
    const host = new Host(ENDPOINT_ROUTES, [https]);
    const denied = host.toContainer(segment(NODE, SERVER_POD, 5000, 9), MARK_HOST);
    expect(denied.said).toEqual(['verdict to 10002 port 9: -133', 'drop 133 from 1']);
    const allowed = host.toContainer(segment(NODE, SERVER_POD, 5000, 443), MARK_HOST);
    expect(allowed.said[0]).toBe('verdict to 10002 port 443: 0');
    expect(allowed.said[1]).toContain('verdict from 1 port 443');
    expect(allowed.said[1]).toContain('by 102');
    // Others' packets are the pod's business only.
    const other = host.toContainer(segment(POD, SERVER_POD, 5000, 9), identityMark(POD_ID, MARK_IDENTITY));
    expect(other.said.every((text) => text.includes('by 102'))).toBe(true);
  });

  test("before the node's program is there, nothing passes", () => {
    const host = open(new Host(ENDPOINT_ROUTES, [{}]));
    const { datapath } = host.world;
    Object.defineProperty(datapath, 'program', {
      value: (id: number) => (id === HOST_ENDPOINT ? undefined : Datapath.prototype.program.call(datapath, id)),
    });
    expect(host.fromContainer(segment(POD, NODE, 5000, 22)).said.at(-1)).toBe(`drop 202 from ${POD_ID} by 101`);
    expect(host.toContainer(segment(NODE, SERVER_POD, 5000, 9), MARK_HOST).said.at(-1)).toBe('drop 202 from 1 by 102');
  });

  test('in tunnel mode, with kube-proxy, the answer to another node goes to the stack, not by the tunnel', () => {
    const host = new Host(KUBE_PROXY_VXLAN, []);
    // The other node's address has a tunnel endpoint: itself.
    host.world.set(
      'cilium_ipcache_v2',
      '40000000000000010a000002000000000000000000000000',
      '060000000a00000200000000000000000000000000000002',
    );
    host.world.set('policy:102', '280000000000000000000000', '0000000000000000');
    const request = segment(OTHER_NODE, SERVER_POD, 5000, 80);
    expect(host.fromHost(request, 0).ret).toBe(CTX_ACT_REDIRECT);
    const answer = segment(SERVER_POD, OTHER_NODE, 80, 5000, TCP_SYN | TCP_ACK);
    const { ret, frame } = host.fromContainer(answer, 102);
    expect(ret).toBe(CTX_ACT_OK);
    expect([host.world.skb.mark, host.world.skb.tunnelId]).toEqual([0, undefined]);
    expect(frame).toEqual(answer);
  });
});

describe('ICMPv6', () => {
  const message = (type: number, rest: Uint8Array = new Uint8Array(0)): Uint8Array =>
    build({ src: CLIENT6, dst: NODE6, protocol: IPPROTO_ICMP, l4: icmp(type, 0, 5, rest) });
  const v6 = (): Host => new Host(NATIVE, [], [], true);

  const types: [name: string, type: number, want: 'judged' | 'passes' | 'forbidden'][] = [
    ['an echo request', 128, 'judged'],
    ['an echo reply', 129, 'judged'],
    ['unreachable', 1, 'passes'],
    ['parameter problem', 4, 'passes'],
    ['a private error', 100, 'forbidden'],
    ['a multicast listener query', 130, 'passes'],
    ['a router advertisement', 134, 'passes'],
    ['a neighbour advertisement', 136, 'passes'],
    ['a redirect', 137, 'forbidden'],
    ['router renumbering', 138, 'forbidden'],
    ['a node information query', 139, 'forbidden'],
    ['an inverse solicitation', 141, 'passes'],
    ['a listener report', 143, 'passes'],
    ['home agent discovery', 144, 'forbidden'],
    ['a certification path', 148, 'passes'],
    ['an experiment of mobility', 150, 'forbidden'],
    ['multicast routers', 153, 'passes'],
    ['FMIPv6', 154, 'forbidden'],
    ['an unassigned type', 255, 'forbidden'],
  ];

  test.each(types)('%s (%i) is %s', (_, type, want) => {
    const host = v6();
    const codes = { judged: 133, passes: undefined, forbidden: 176 };
    const said = host.fromNetdev(message(type)).said.filter((text) => text.startsWith('drop'));
    expect(said.map((text) => Number(text.split(' ')[1]))).toEqual(codes[want] === undefined ? [] : [codes[want]]);
    const out = build({ src: NODE6, dst: CLIENT6, protocol: IPPROTO_ICMP, l4: icmp(type, 0, 5) });
    const left = host.toNetdev(out).said.filter((text) => text.startsWith('drop'));
    expect(left.map((text) => Number(text.split(' ')[1]))).toEqual(codes[want] === undefined ? [] : [codes[want]]);
  });

  test("a solicitation from the network is answered; the node's own is judged", () => {
    const router = address('fd00:10:244:1::fe');
    const host = v6();
    expect(host.fromNetdev(message(135, join(router, [1, 1, 0, 0, 0, 0, 0, 1]))).ret).toBe(CTX_ACT_REDIRECT);
    const out = build({ src: NODE6, dst: CLIENT6, protocol: IPPROTO_ICMP, l4: icmp(135, 0, 0, router) });
    expect(host.toNetdev(out).said.at(-1)).toBe('drop 133 from 1');
  });

  test('without a header it is dropped as invalid, with a firewall and without', () => {
    const cut = message(128).subarray(0, 54);
    expect(v6().fromNetdev(cut).said.at(-1)).toContain('drop 134');
    const host = v6();
    const dp = new Datapath(host.world.memory, {
      shard: 0,
      events: host.world.events,
      seed: 1,
      config: { ...host.world.datapath.config, hostFirewall: false },
    });
    host.world.skb.load(cut, 5);
    expect(cilFromNetdev(dp, host.world.skb)).toBe(CTX_ACT_DROP);
  });

  test('a datagram to the node is judged in IPv6 as in IPv4', () => {
    const host = new Host(NATIVE, [{ protocol: IPPROTO_UDP, port: 53 }], [], true);
    const to = (port: number): Uint8Array =>
      build({ src: CLIENT6, dst: NODE6, protocol: IPPROTO_UDP, l4: udp(5000, port) });
    expect(host.fromNetdev(to(53)).ret).toBe(CTX_ACT_OK);
    expect(host.connections()).toEqual([`ingress udp 7:5000 -> 1:53 by ${0x0100_0004}`]);
    expect(host.fromNetdev(to(54)).said.at(-1)).toBe(`drop 133 from ${0x0100_0004}`);
  });
});

test('the host endpoint needs a policy map', () => {
  const { memory, events, datapath } = new Host(NATIVE, []).world;
  const config = { ...datapath.config, node: { ...datapath.config.node, hostEndpointId: 4000 } };
  expect(() => new Datapath(memory, { shard: 0, events, seed: 1, config })).toThrow('cilium_policy_v2_04000');
});
