/**
 * ClassBench as workloads of a policy map, in both directions.
 *
 * A policy map belongs to one endpoint and names the peer by identity, so of a filter it can hold: the source prefix, the
 * destination ports, the protocol. Reading maps them as the agent maps CIDR rules of an ingress policy:
 * - every distinct source prefix is an identity (from 16777217 on, in the order of the file); 0.0.0.0/0 is any identity;
 * - a filter allows its own identity and those of all prefixes inside its own, because a packet has only the identity of
 *   the longest prefix that holds it;
 * - a port range becomes the fewest port prefixes; a filter of any protocol with ports becomes one of TCP and one of UDP;
 * - destination prefix, source ports and the order of filters have no place in a policy map: they are left out, and
 *   filters that become the same key are one entry. Every filter allows; ClassBench has no verdicts.
 * A packet of a trace is an ingress question: its source's identity (2 = world where no prefix holds it), destination
 * port and protocol. Without a trace the questions are generated as for any other entries.
 *
 * Writing turns identity n into the source 10.0.0.0 + n, /32, for numbers below 2^24, above them 11.0.0.0 + the low 24
 * bits; ingress goes to 192.168.0.1/32, egress to 192.168.0.2/32.  Deny, redirects and authentication are not
 * written, and what is read back is all ingress: the numbers of such a pair of files are those of another workload.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EngineEntry, QUESTION, writeQuestion } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';
import {
  ClassBenchError,
  type Filter,
  formatFilters,
  formatTrace,
  parseFilters,
  parseTrace,
  readText,
  type TracePacket,
} from './classbench.ts';
import { DistinctKeys } from './distinct_keys.ts';
import { portPrefixes } from './port_prefixes.ts';
import { Reference } from './reference.ts';
import { MAX_QUESTIONS } from './types.ts';
import type { QuestionCounts } from './workload.ts';

const FIRST_CIDR_IDENTITY = 0x0100_0001;
const WORLD = 2;
const TCP = 6;
const UDP = 17;
const ANY_PORT: readonly [number, number] = [0, 65_535];
const INGRESS_TO = 0xc0a8_0001;
const EGRESS_TO = 0xc0a8_0002;
const SAVED_PACKETS = 131_072;

export interface ClassBenchWorkload {
  entries: EngineEntry[];
  /** Fills the questions from the trace, over and over; undefined without one. */
  ask: ((memory: Memory, questions: Address) => QuestionCounts) | undefined;
}

/** @throws ClassBenchError with file and line */
export function readClassBench(filtersFile: string, traceFile: string | undefined): ClassBenchWorkload {
  const identities = new PrefixIdentities();
  const entries = entriesOf(parseFilters(readText(filtersFile), filtersFile), identities);
  if (entries.length === 0) throw new ClassBenchError(filtersFile, 0, 'no filter in it');
  if (traceFile === undefined) return { entries, ask: undefined };
  const packets = parseTrace(readText(traceFile), traceFile);
  if (packets.length === 0) throw new ClassBenchError(traceFile, 0, 'no packet in it');
  return { entries, ask: (memory, questions) => askTrace(memory, questions, packets, identities, entries) };
}

/** Source prefix → identity, and address → the identity of the longest prefix that holds it. */
export class PrefixIdentities {
  private readonly byPrefix = new Map<string, number>();
  private readonly prefixes: { ip: number; len: number; identity: number }[] = [];

  /** 0 for the prefix that holds everything. */
  add(ip: number, len: number): number {
    if (len === 0) return 0;
    const masked = cut(ip, len);
    const key = `${masked}/${len}`;
    const known = this.byPrefix.get(key);
    if (known !== undefined) return known;
    const identity = FIRST_CIDR_IDENTITY + this.prefixes.length;
    this.byPrefix.set(key, identity);
    this.prefixes.push({ ip: masked, len, identity });
    return identity;
  }

  of(ip: number): number {
    for (let len = 32; len > 0; len--) {
      const identity = this.byPrefix.get(`${cut(ip, len)}/${len}`);
      if (identity !== undefined) return identity;
    }
    return WORLD;
  }

  /** The prefix's own identity and those of prefixes inside it. */
  inside(ip: number, len: number): number[] {
    if (len === 0) return [0];
    const masked = cut(ip, len);
    return this.prefixes.filter((p) => p.len >= len && cut(p.ip, len) === masked).map(({ identity }) => identity);
  }
}

export function entriesOf(filters: readonly Filter[], identities: PrefixIdentities): EngineEntry[] {
  for (const { src, srcLen } of filters) identities.add(src, srcLen);
  const entries = new Map<string, EngineEntry>();
  for (const filter of filters) {
    const hasPorts = filter.dstPorts[0] !== ANY_PORT[0] || filter.dstPorts[1] !== ANY_PORT[1];
    const protocols = filter.protocolMask !== 0 ? [filter.protocol] : hasPorts ? [TCP, UDP] : [0];
    const ports = hasPorts ? portPrefixes(...filter.dstPorts) : [{ port: 0, length: 0 }];
    for (const identity of identities.inside(filter.src, filter.srcLen))
      for (const protocol of protocols)
        for (const { port, length } of ports) {
          const key = { egress: false, identity, protocol, dport: port, portPrefixLen: length };
          entries.set(Object.values(key).join('/'), { ...key, ...ALLOW });
        }
  }
  return [...entries.values()];
}

const ALLOW = {
  deny: false,
  proxyPort: 0,
  proxyPortPriority: 0,
  authType: 0,
  hasExplicitAuth: false,
  precedence: 0xffff_ff01,
};

function askTrace(
  memory: Memory,
  questions: Address,
  packets: readonly TracePacket[],
  identities: PrefixIdentities,
  entries: readonly EngineEntry[],
): QuestionCounts {
  const keys = new DistinctKeys(MAX_QUESTIONS);
  const reference = new Reference(entries);
  const asked = packets.map(({ src, dport, protocol }) => ({ identity: identities.of(src), dport, protocol }));
  let hits = 0;
  for (let n = 0; n < MAX_QUESTIONS; n++) {
    const at = questions + n * QUESTION.size;
    const { identity, dport, protocol } = asked[n % asked.length]!;
    writeQuestion(memory, at, identity, false, protocol, dport, false);
    if (n >= asked.length) continue;
    keys.add(memory.u32[at >> 2]!, memory.u32[(at >> 2) + 1]!);
    if (reference.matches(identity, false, protocol, dport)) hits++;
  }
  return { distinctKeys: keys.size, hits: hits / Math.min(asked.length, MAX_QUESTIONS) };
}

/** Writes NAME.filters and NAME.trace into `folder`. */
export function saveClassBench(
  folder: string,
  name: string,
  memory: Memory,
  questions: Address,
  entries: readonly EngineEntry[],
): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.filters`), formatFilters(entries.map(filterOf)));
  const packets = Array.from({ length: SAVED_PACKETS }, (_, n) => packetOf(memory, questions + n * QUESTION.size));
  writeFileSync(join(folder, `${name}.trace`), formatTrace(packets));
}

export function filterOf({ egress, identity, protocol, dport, portPrefixLen }: EngineEntry): Filter {
  const size = 2 ** (16 - portPrefixLen);
  return {
    src: identity === 0 ? 0 : addressOf(identity),
    srcLen: identity === 0 ? 0 : 32,
    dst: egress ? EGRESS_TO : INGRESS_TO,
    dstLen: 32,
    srcPorts: [...ANY_PORT],
    dstPorts: dport === 0 ? [...ANY_PORT] : [dport & -size, (dport & -size) + size - 1],
    protocol,
    protocolMask: protocol === 0 ? 0 : 0xff,
  };
}

function packetOf(m: Memory, question: Address): TracePacket {
  const word = m.u32[(question + QUESTION.dport) >> 2]!;
  const dst = word >>> 24 === 1 ? EGRESS_TO : INGRESS_TO;
  return { src: addressOf(m.u32[question >> 2]!), dst, sport: 0, dport: word & 0xffff, protocol: (word >>> 16) & 0xff };
}

const addressOf = (identity: number): number =>
  (identity < 2 ** 24 ? 0x0a00_0000 : 0x0b00_0000) + (identity & 0xff_ffff);

const cut = (ip: number, len: number): number => (ip & (-1 << (32 - len))) >>> 0;
