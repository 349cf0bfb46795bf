import type { PacketInput, Scenario } from '../../src/conformance/scenario.ts';
import type { Random } from '../random.ts';

/** Packets that no sender would build, made of recorded ones. Every choice is the generator's: one seed, one packet. */

const ETH_HLEN = 14;
const ETH_TYPES = [0x0800, 0x86dd, 0x0806, 0x8100, 0x0100, 0x0000];
const PROTOCOLS = [0, 1, 2, 4, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 132, 255];
const PORTS = [0, 53, 80, 443, 8080, 8472, 30_080, 32_768, 40_000, 65_535];
const ICMP_TYPES = [0, 1, 2, 3, 4, 5, 8, 11, 12, 13, 128, 129, 130, 133, 135, 136];
const SIMPLE_BYTES = [0, 1, 2, 4, 5, 6, 0x0f, 0x20, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xff];
const MAGICS = [0, 0x0200, 0x0300, 0x0400, 0x0900, 0x0a00, 0x0b00, 0x0c00, 0x0d00, 0x0e00, 0x0f00];
const IDENTITIES = [0, 1, 2, 6, 7, 9, 10, 1001, 0x0200_0001, 0xffff_ffff];
const HOOKS = [
  ...['from-container', 'to-container', 'policy', 'from-netdev', 'to-netdev', 'from-host', 'from-overlay'],
] as PacketInput['hook'][];
/** A frame longer than any an skb holds. */
const TOO_LONG = 65_600;

export const packetsOf = (scenario: Scenario): PacketInput[] =>
  scenario.steps.flatMap((step) => (step.op === 'packet' ? [step] : []));

export const withFrame = (input: PacketInput, frame: Uint8Array): PacketInput => ({
  ...input,
  packet_hex: Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('hex'),
});

export const frameOf = (input: PacketInput): Uint8Array => Uint8Array.from(Buffer.from(input.packet_hex, 'hex'));

/** A packet like those of the scenario, or unlike any; at the hook it was recorded at, or at another. */
export function randomInput(random: Random, scenario: Scenario, recorded: readonly PacketInput[]): PacketInput {
  const base = random.of(recorded);
  let frame = random.oneIn(16) ? randomFrame(random) : frameOf(base);
  for (let n = random.below(5); n > 0; n--) frame = random.of(MUTATIONS)(frame, random, recorded);
  const input = withFrame(base, frame);
  return random.oneIn(3) ? elsewhere(input, random, scenario) : input;
}

function elsewhere(input: PacketInput, random: Random, scenario: Scenario): PacketInput {
  const hook = random.of(HOOKS);
  const { id, ifindex } = random.of(scenario.endpoints);
  const isPod = hook === 'from-container' || hook === 'to-container' || hook === 'policy';
  const { tunnel_key_in: _, endpoint: __, ...rest } = input;
  return {
    ...rest,
    hook,
    ...(isPod ? { endpoint: id, ifindex } : {}),
    ...(random.oneIn(8) ? {} : { tunnel_key_in: { tunnel_id: random.of(IDENTITIES) & 0xff_ffff } }),
    ingress_ifindex: random.of([0, 5, ifindex]),
    mark: random.oneIn(2) ? input.mark : (random.of(MAGICS) | (random.of([id, ...IDENTITIES]) << 16)) >>> 0,
    cb: [random.of(IDENTITIES), random.below(2), 0, random.below(2), random.below(2)],
  };
}

const randomFrame = (random: Random): Uint8Array => {
  const frame = random.bytes(random.oneIn(4) ? random.below(ETH_HLEN + 8) : random.below(160));
  if (frame.length >= ETH_HLEN && !random.oneIn(4)) setBe16(frame, 12, random.of(ETH_TYPES.slice(0, 3)));
  if (frame.length > ETH_HLEN && random.oneIn(2)) frame[ETH_HLEN] = random.of([0x45, 0x46, 0x60]);
  return frame;
};

type Mutation = (frame: Uint8Array, random: Random, recorded: readonly PacketInput[]) => Uint8Array;

const setBe16 = (frame: Uint8Array, at: number, value: number): void => frame.set([value >> 8, value & 0xff], at);
const isV6 = (frame: Uint8Array): boolean => frame[12] === 0x86;
/** Of the transport header, if nothing strange lies in between. */
const l4Of = (frame: Uint8Array): number => ETH_HLEN + (isV6(frame) ? 40 : Math.max(5, frame[ETH_HLEN]! & 0x0f) * 4);

/** The change to a copy, if the frame is long enough for it. */
const at =
  (need: number, change: (frame: Uint8Array, random: Random) => void): Mutation =>
  (frame, random) => {
    if (frame.length < need) return frame;
    const copy = frame.slice();
    change(copy, random);
    return copy;
  };

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

const MUTATIONS: readonly Mutation[] = [
  // Lengths.
  (frame, random) => frame.slice(0, random.below(frame.length + 1)),
  (frame, random) => frame.slice(0, Math.min(frame.length, l4Of(frame) + random.below(24))),
  (frame, random) => join(frame, random.bytes(random.below(64))),
  (frame, random) => join(frame, random.bytes(random.of([128, 1000, 1500]))),
  (frame, random) => (random.oneIn(50) ? join(frame, new Uint8Array(TOO_LONG)) : frame),
  // Any byte.
  at(1, (frame, random) => {
    frame[random.below(frame.length)] = random.below(256);
  }),
  at(1, (frame, random) => {
    frame[random.below(frame.length)] = random.of(SIMPLE_BYTES);
  }),
  at(1, (frame, random) => {
    frame[random.below(Math.min(frame.length, 80))]! ^= 1 << random.below(8);
  }),
  // Fields of Ethernet and IP.
  at(14, (frame, random) => setBe16(frame, 12, random.of(ETH_TYPES))),
  at(15, (frame, random) => {
    frame[14] = (frame[14]! & 0xf0) | random.below(16);
  }),
  at(34, (frame, random) => {
    frame[isV6(frame) ? 20 : 23] = random.of(PROTOCOLS);
  }),
  at(34, (frame, random) => {
    frame[isV6(frame) ? 21 : 22] = random.below(3);
  }),
  at(34, (frame, random) => setBe16(frame, isV6(frame) ? 18 : 16, random.of([0, 1, 20, 48, 0x7fff, 0xffff]))),
  at(34, (frame, random) => {
    if (!isV6(frame)) setBe16(frame, 20, random.of([0x2000, 0x0001, 0x2001, 0x1fff, 0x4000]));
  }),
  swapAddresses,
  addressesOfAnother,
  insertExtension,
  // Fields of the transport header.
  at(24, (frame, random) => {
    const l4 = l4Of(frame);
    if (l4 + 4 <= frame.length) setBe16(frame, l4 + 2 * random.below(2), random.of(PORTS));
  }),
  at(24, (frame, random) => {
    const l4 = l4Of(frame);
    if (l4 + 14 <= frame.length) frame[l4 + 13] = random.below(64);
  }),
  at(24, (frame, random) => {
    const l4 = l4Of(frame);
    if (l4 + 2 <= frame.length) frame.set([random.of(ICMP_TYPES), random.below(17)], l4);
  }),
  quoteInError,
];

function swapAddresses(frame: Uint8Array): Uint8Array {
  const [from, bytes] = isV6(frame) ? [22, 16] : [26, 4];
  if (frame.length < from + 2 * bytes) return frame;
  return join(
    frame.subarray(0, from),
    frame.subarray(from + bytes, from + 2 * bytes),
    frame.subarray(from, from + bytes),
    frame.subarray(from + 2 * bytes),
  );
}

/** Source or destination of another recorded packet. */
function addressesOfAnother(frame: Uint8Array, random: Random, recorded: readonly PacketInput[]): Uint8Array {
  const other = frameOf(random.of(recorded));
  const [from, bytes] = isV6(frame) ? [22, 16] : [26, 4];
  if (isV6(frame) !== isV6(other) || Math.min(frame.length, other.length) < from + 2 * bytes) return frame;
  const copy = frame.slice();
  const take = from + bytes * random.below(2);
  copy.set(other.subarray(take, take + bytes), from + bytes * random.below(2));
  return copy;
}

/** In IPv6 an extension header; in IPv4 an option of 4 bytes. */
function insertExtension(frame: Uint8Array, random: Random): Uint8Array {
  if (frame.length < 54) return frame;
  const copy = frame.slice();
  if (!isV6(frame)) {
    copy[14] = 0x40 | Math.min(15, (copy[14]! & 0x0f) + 1);
    return join(copy.subarray(0, 34), Uint8Array.of(1, 1, 1, 0), copy.subarray(34));
  }
  const kind = random.of([0, 43, 44, 51, 60]);
  const header = random.bytes(8);
  header[0] = copy[20]!;
  header[1] = random.of([0, 0, 0, 1, 255]);
  copy[20] = kind;
  return join(copy.subarray(0, 54), header, copy.subarray(54));
}

/** An ICMP error from the packet's destination, or about another packet. */
function quoteInError(frame: Uint8Array, random: Random, recorded: readonly PacketInput[]): Uint8Array {
  const quoted = random.oneIn(2) ? frame : frameOf(random.of(recorded));
  if (frame.length < 54 || isV6(frame) !== isV6(quoted)) return frame;
  const head = frame.slice(0, isV6(frame) ? 54 : 34);
  head[isV6(head) ? 20 : 23] = isV6(head) ? 58 : 1;
  const icmp = new Uint8Array(8);
  icmp[0] = isV6(head) ? 1 + random.below(4) : random.of([3, 5, 11, 12]);
  icmp[1] = random.below(5);
  return swapAddresses(join(head, icmp, quoted.subarray(ETH_HLEN)));
}
