import { EndpointSelector, Labels } from '@ciliate/labels';
import fc from 'fast-check';
import type { PortProtocol, PortRule } from '../src/api/rule.ts';
import {
  entity,
  http,
  listener,
  type PeerRuleSpec,
  pod,
  ports,
  RESERVED,
  type RuleSpec,
  SUBJECT,
  select,
} from './rules.ts';

// Policies in so simple a form that what they say about a packet can be read off them: no selectors, no map, no merging.
// `rulesOf` makes rules of them, `evaluate` is what they mean.

type Pairs = Readonly<Record<string, string>>;
export type Direction = 'ingress' | 'egress';

export interface ModelPeer {
  /** undefined: a list that is there and empty. */
  readonly peers:
    | { readonly endpoints: readonly Pairs[]; readonly entities: readonly string[]; readonly names: readonly string[] }
    | undefined;
  readonly requires: Pairs | undefined;
  readonly ports: readonly ModelPort[];
  /** Changes nothing of what {@link evaluate} says. */
  readonly authentication: 'required' | 'disabled' | undefined;
}
export interface ModelPort {
  readonly first: number;
  readonly last: number;
  readonly protocol: PortProtocol['protocol'];
  /** Number: a listener of this priority. */
  readonly l7: 'http' | number | undefined;
}
export interface ModelRule {
  readonly selected: boolean;
  readonly defaultDeny: boolean;
  readonly lists: Readonly<Record<'ingress' | 'ingressDeny' | 'egress' | 'egressDeny', readonly ModelPeer[]>>;
}
export interface Flow {
  readonly egress: boolean;
  readonly identity: number;
  readonly protocol: number;
  readonly dport: number;
}

const NUMBERS: Readonly<Record<string, number>> = { ICMP: 1, TCP: 6, UDP: 17, SCTP: 132 };

/** Peers by number, with the labels that the model knows of them. */
export const PEERS: readonly {
  identity: number;
  pairs: Pairs;
  reserved: readonly string[];
  names: readonly string[];
  labels: Labels;
}[] = [
  ...RESERVED.map(([identity, labels]) => ({
    identity,
    pairs: {},
    reserved: [...labels].map(({ key }) => key),
    names: [],
    labels,
  })),
  ...[{ a: '1', b: '2' }, { a: '1' }, { a: '2' }, { b: '1' }, {}].map((pairs, index) => ({
    identity: 1002 + index,
    pairs: pairs as Pairs,
    reserved: [],
    names: [],
    labels: pod(pairs as Record<string, string>),
  })),
  ...[['x.example'], ['x.example', 'y.example']].map((names, index) => ({
    identity: 16777217 + index,
    pairs: {},
    reserved: ['world'],
    names,
    labels: Labels.parse([...names.map((name) => `fqdn:${name}`), 'reserved:world']),
  })),
];
export const IDENTITIES: readonly (readonly [number, Labels])[] = [
  [SUBJECT.identity, SUBJECT.labels],
  ...PEERS.map(({ identity, labels }) => [identity, labels] as const),
];
export const FLOWS: readonly Flow[] = [false, true].flatMap((egress) =>
  PEERS.flatMap(({ identity }) =>
    [1, 6, 17].flatMap((protocol) => [0, 79, 80, 81, 96].map((dport) => ({ egress, identity, protocol, dport }))),
  ),
);

// What is generated: few labels and ports, so that rules meet.

const pairs = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2'), { maxKeys: 2 });
const peers = fc.option(
  fc.record({
    endpoints: fc.array(pairs, { maxLength: 2 }),
    entities: fc.array(fc.constantFrom('all', 'world', 'host', 'remote-node'), { maxLength: 1 }),
    names: fc.array(fc.constantFrom('x.example', 'y.example'), { maxLength: 1 }),
  }),
  { nil: undefined, freq: 15 },
);
const span = fc.constantFrom([80, 0], [81, 0], [80, 81], [79, 95], [64, 127], [0, 0], [0, 80], [82, 80], [1, 65535]);
const allowPort = fc.oneof(
  fc
    .tuple(span, fc.constantFrom('TCP', 'UDP', 'ANY', 'ICMP'))
    .map(([[first, last], protocol]) => ({ first: first!, last: last!, protocol, l7: undefined })),
  fc
    .tuple(span, fc.constantFrom('http', 1, 50))
    .map(([[first, last], l7]) => ({ first: first!, last: last!, protocol: 'TCP', l7 })),
) as fc.Arbitrary<ModelPort>;
const denyPort = allowPort.map((port) => ({ ...port, l7: undefined }));
const peerOf = (port: fc.Arbitrary<ModelPort>): fc.Arbitrary<ModelPeer> =>
  fc.record({
    peers,
    requires: fc.constant(undefined),
    ports: fc.array(port, { maxLength: 2 }),
    authentication: fc.constantFrom(undefined, undefined, undefined, 'required' as const, 'disabled' as const),
  });
const requiring = fc.record({
  peers: fc.constant({ endpoints: [], entities: [], names: [] }),
  requires: pairs,
  ports: fc.constant([]),
  authentication: fc.constant(undefined),
});
const allowPeer = fc.oneof({ weight: 12, arbitrary: peerOf(allowPort) }, { weight: 1, arbitrary: requiring });
// Names are for what egress allows.
const denyPeer = peerOf(denyPort).map((peer) => ({
  ...peer,
  authentication: undefined,
  peers: peer.peers && { ...peer.peers, names: [] },
}));
export const modelRule: fc.Arbitrary<ModelRule> = fc.record({
  selected: fc.constantFrom(true, true, true, false),
  defaultDeny: fc.constantFrom(true, true, false),
  lists: fc.record({
    ingress: fc.array(allowPeer, { maxLength: 3 }),
    ingressDeny: fc.array(denyPeer, { maxLength: 1 }),
    egress: fc.array(allowPeer, { maxLength: 3 }),
    egressDeny: fc.array(denyPeer, { maxLength: 1 }),
  }),
});
export const modelRules = fc.array(modelRule, { maxLength: 4 });

// From the model to rules.

export const rulesOf = (model: readonly ModelRule[]): RuleSpec[] =>
  model.map(({ selected, defaultDeny, lists }, index) => ({
    name: `rule-${index}`,
    subject: selected ? EndpointSelector.wildcard : select({ app: 'another' }),
    defaultDeny,
    ingress: lists.ingress.map((peer) => specOf(peer, false)),
    ingressDeny: lists.ingressDeny.map((peer) => specOf(peer, false)),
    egress: lists.egress.map((peer) => specOf(peer, true)),
    egressDeny: lists.egressDeny.map((peer) => specOf(peer, false)),
  }));

function specOf({ peers: named, requires, ports: list, authentication }: ModelPeer, withNames: boolean): PeerRuleSpec {
  const names = withNames ? (named?.names ?? []) : [];
  return {
    ...(named === undefined && { nobody: true }),
    endpoints: (named?.endpoints ?? []).map((one) => select({ ...one, 'k8s:io.kubernetes.pod.namespace': 'default' })),
    others: [...(named?.entities ?? []).map(entity), ...(names.length > 0 ? [entity('none')] : [])],
    fqdns: names.map((matchName) => ({ matchName, matchPattern: '' })),
    requires: requires === undefined ? [] : [select(requires)],
    toPorts: list.map(portRuleOf),
    authentication,
  };
}

function portRuleOf({ first, last, protocol, l7 }: ModelPort): PortRule {
  const more = l7 === undefined ? {} : l7 === 'http' ? http('GET') : listener(`listener-${l7}`, l7);
  return ports([{ port: first, endPort: last, protocol }], more);
}

// What the rules say about a packet.

/** `deny`, `drop` (no rule lets it through), `allow`, or `redirect` with the proxy's priority. */
export function evaluate(model: readonly ModelRule[], flow: Flow): string {
  const direction: Direction = flow.egress ? 'egress' : 'ingress';
  const speaking = model.filter(
    ({ selected, lists }) => selected && lists[direction].length + lists[`${direction}Deny`].length > 0,
  );
  const isHost = flow.identity === 1 && !flow.egress;
  if (speaking.length === 0) return 'allow';
  const required = speaking.flatMap(({ lists }) =>
    lists[direction].flatMap(({ requires }) => (requires === undefined ? [] : [requires])),
  );
  if (speaking.some(({ lists }) => lists[`${direction}Deny`].some((peer) => wordsOf(peer, flow, []).length > 0)))
    return 'deny';
  const words = speaking.flatMap(({ lists }) => lists[direction].flatMap((peer) => wordsOf(peer, flow, required)));
  if (isHost || speaking.every(({ defaultDeny }) => !defaultDeny)) words.push(0);
  if (words.length === 0) return 'drop';
  const priority = Math.max(...words);
  return priority === 0 ? 'allow' : `redirect ${priority}`;
}

/** The entries that say something about a packet, as `rule-0 ingressDeny[1]`. */
export function speakersOn(model: readonly ModelRule[], flow: Flow): string[] {
  const direction: Direction = flow.egress ? 'egress' : 'ingress';
  const selecting = model.map((rule, index) => ({ ...rule, index })).filter(({ selected }) => selected);
  const required = selecting.flatMap(({ lists }) =>
    lists[direction].flatMap(({ requires }) => (requires === undefined ? [] : [requires])),
  );
  return selecting.flatMap(({ lists, index }) =>
    [direction, `${direction}Deny` as const].flatMap((list) =>
      lists[list].flatMap((peer, at) => {
        const says = wordsOf(peer, flow, list === direction ? required : []).length > 0;
        return says ? [`rule-${index} ${list}[${at}]`] : [];
      }),
    ),
  );
}

/** The proxy's priority for each of the entry's words about a packet, 0 for a plain one. */
function wordsOf({ peers: named, ports: list }: ModelPeer, flow: Flow, required: readonly Pairs[]): number[] {
  if (named === undefined) return [];
  const peer = PEERS.find(({ identity }) => identity === flow.identity)!;
  const names = flow.egress ? named.names : [];
  const isPod = peer.labels.has('k8s', 'io.kubernetes.pod.namespace');
  const carries = (wanted: Pairs): boolean => Object.entries(wanted).every(([key, value]) => peer.pairs[key] === value);
  const anybody = named.endpoints.length + named.entities.length + names.length === 0;
  const meant =
    named.endpoints.some((one) => isPod && carries(one) && required.every(carries)) ||
    named.entities.some(
      (one) => one === 'all' || (one === 'world' ? peer.reserved.includes('world') : peer.reserved.includes(one)),
    ) ||
    names.some((name) => peer.names.includes(name));
  if (list.length === 0) return meant ? [0] : [];
  if (!meant && !anybody) return [];
  return list
    .filter((port) => covers(port, flow))
    .map(({ l7 }) => (l7 === undefined ? 0 : l7 === 'http' ? 27 : 128 - l7));
}

function covers({ first, last, protocol }: ModelPort, flow: Flow): boolean {
  const numbers = protocol === 'ANY' ? [6, 17, 132] : [NUMBERS[protocol]];
  if (!numbers.includes(flow.protocol)) return false;
  if (first === 0 && last === 0) return true;
  return flow.dport >= first && flow.dport <= Math.max(first, last);
}
