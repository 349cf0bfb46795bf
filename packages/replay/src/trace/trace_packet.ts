import { type Agent, type Endpoint, podName, whyDropped } from '@ciliate/agent';
import { isDecision, type MapStep } from '@ciliate/bpf';
import { formatCompact, isDebugEvent, parseDebug, parseEvent } from '@ciliate/hubble';
import { hexOf } from '@ciliate/maps';
import { type DescribedStep, describeDecision, placeOf } from '../describe.ts';
import { record, type TracePacket } from '../recording.ts';
import { type FieldChange, fieldChanges, type Header, headersOf } from './headers.ts';
import { type End, type MachineOptions, TraceMachine } from './machine.ts';
import { explainMapStep, type MapWords } from './map_words.ts';
import { whyThisEntry } from './policy_words.ts';
import type { Recorded } from './recorder.ts';

/** A packet as it stands. */
export interface FramedPacket {
  /** Undefined: it comes in from the network. */
  sender: Endpoint | undefined;
  frame: Uint8Array;
  timeNs: bigint;
}

/** A packet of a capture, from the pod that can have sent it. */
export function framed(agent: Agent, packet: TracePacket): FramedPacket {
  const { sender, frame, timeNs } = record(agent, packet);
  return { sender, frame, timeNs };
}

/** Bytes are two lower-case hexadecimal digits each. */
export type TraceStep =
  | { kind: 'program'; name: string; at: string; endpoint: number }
  | ({ kind: 'map'; access: MapStep['access']; map: string; key: string; value?: string; matched?: string } & MapWords)
  | (DescribedStep & { because?: string })
  | { kind: 'rewrite'; text: string; changes: FieldChange[]; before: Header[]; after: Header[] }
  | { kind: 'event'; event: string; text: string; struct: string; packet: string };

export interface PacketTrace {
  /** `namespace/name` of the pod, or `the network`. */
  from: string;
  timeNs: bigint;
  bytes: number;
  headers: Header[];
  steps: TraceStep[];
  end: { kind: End['kind']; text: string };
  /** As the packet is now. */
  after: Header[];
}

/** @param before packets that go first, so that the maps have seen them */
export function tracePacket(
  agent: Agent,
  packet: FramedPacket,
  options: MachineOptions,
  before: readonly FramedPacket[] = [],
): PacketTrace {
  const machine = new TraceMachine(agent, options);
  try {
    for (const { sender, frame, timeNs } of before) machine.send(sender, frame, timeNs);
    const { sender, frame, timeNs } = packet;
    const { recorded, end } = machine.trace(sender, frame, timeNs);
    return {
      from: sender === undefined ? 'the network' : podName(sender),
      timeNs,
      bytes: frame.length,
      headers: headersOf(frame),
      steps: describe(agent, recorded, timeNs),
      end: { kind: end.kind, text: endText(end) },
      after: headersOf(recorded.at(-1)?.frame ?? frame),
    };
  } finally {
    machine.close();
  }
}

function describe(agent: Agent, recorded: readonly Recorded[], timeNs: bigint): TraceStep[] {
  const steps: TraceStep[] = [];
  const known = new Set<string>();
  let policyLookups: MapStep[] = [];
  for (const one of recorded) {
    switch (one.kind) {
      case 'program': {
        const { name, endpoint } = one;
        steps.push({ kind: 'program', name, at: placeOf(agent, endpoint), endpoint });
        break;
      }
      case 'rewrite': {
        const before = headersOf(one.before);
        const after = headersOf(one.frame);
        const changes = fieldChanges(before, after);
        steps.push({ kind: 'rewrite', text: rewriteText(changes), changes, before, after });
        break;
      }
      case 'event':
        steps.push(describeEvent(agent, one, timeNs));
        break;
      case 'step': {
        const { step, frame } = one;
        if (step.kind === 'map') {
          if (step.map.startsWith('cilium_policy_v2')) policyLookups.push(step);
          steps.push(describeMapStep(agent, step, frame, known));
        } else if (isDecision(step)) {
          const described = describeDecision(agent, step);
          steps.push({ ...described, ...becauseOf(described, policyLookups) });
          if (step.kind === 'policy') policyLookups = [];
        }
      }
    }
  }
  return steps;
}

function rewriteText(changes: readonly FieldChange[]): string {
  const has = (header: Header['name'], field: string): boolean =>
    changes.some((change) => change.header === header && change.field === field);
  const hasIp = (field: string): boolean => has('IPv4', field) || has('IPv6', field);
  if (has('ICMP', 'type') || has('ICMPv6', 'type')) return 'The packet becomes an answer to its sender.';
  if (hasIp('destination')) return 'The packet gets another destination.';
  if (hasIp('source')) return 'The packet gets another source.';
  if (!has('IPv4', 'TTL') && !has('IPv6', 'hop limit')) return 'The packet is rewritten.';
  const addresses = has('Ethernet', 'destination') ? ', and the Ethernet addresses of the next link' : '';
  return `The packet is routed: one hop less to live${addresses}.`;
}

/** Only of policy: why this entry, or why none is enough. */
function becauseOf({ policy, text }: DescribedStep, lookups: readonly MapStep[]): { because?: string } {
  if (policy === undefined) return {};
  if (policy.entry === undefined && policy.verdict === 'deny') return { because: whyDropped([policy], text) };
  const because = whyThisEntry(lookups);
  return because === undefined ? {} : { because };
}

/** @param known keys that had an entry so far */
function describeMapStep(agent: Agent, step: MapStep, frame: Uint8Array, known: Set<string>): TraceStep {
  const { access, map, value, matched } = step;
  const key = hexOf(step.key);
  const place = `${map} ${key}`;
  const words = explainMapStep(step, { agent, frame, known: known.has(place) });
  if (value !== undefined) known.add(place);
  return {
    kind: 'map',
    access,
    map,
    key,
    ...(value && { value: hexOf(value) }),
    ...(matched && { matched: hexOf(matched) }),
    ...words,
  };
}

const EVENT_NAMES: Readonly<Record<number, string>> = {
  1: 'drop notification',
  2: 'debug message',
  3: 'debug capture',
  4: 'trace notification',
  5: 'policy verdict notification',
};

function describeEvent(
  { resolver }: Agent,
  { bytes, structSize }: Extract<Recorded, { kind: 'event' }>,
  timeNs: bigint,
): TraceStep {
  return {
    kind: 'event',
    event: EVENT_NAMES[bytes[0]!] ?? `notification ${bytes[0]}`,
    text: isDebugEvent(bytes) ? parseDebug(bytes).text : formatCompact(parseEvent(bytes, resolver, timeNs)),
    struct: hexOf(bytes.subarray(0, structSize)),
    packet: hexOf(bytes.subarray(structSize)),
  };
}

function endText(end: End): string {
  switch (end.kind) {
    case 'delivered':
      return `delivered to ${podName(end.to)}`;
    case 'proxy':
      return end.port === 0 ? 'to the socket of the proxy that it answers' : `to the proxy, port ${end.port}`;
    case 'dropped':
      return `dropped: ${end.code} ${end.text}`;
    case 'network':
      return `leaves the node by device ${end.ifindex}`;
    case 'answered':
      return 'back to its sender, as the answer';
    case 'host':
      return "to the host's stack, which keeps it";
    case 'expired':
      return "dropped by the host's stack: no hop left to live";
  }
}
