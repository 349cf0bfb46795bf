import { type Agent, ownLabels, podName } from '@ciliate/agent';
import type { MapStep } from '@ciliate/bpf';
import {
  backendText,
  be16,
  CT_ENTRY,
  ctEntryText,
  ctKeyText,
  ENDPOINT_INFO,
  endpointInfoText,
  endpointKeyText,
  fragmentRecord,
  hostPort,
  ipcacheKeyText,
  ipcacheValueText,
  LB4_SERVICE,
  le16,
  le32,
  natEntryText,
  natKeyText,
  POLICY_ENTRY,
  policyCells,
  policyIdentity,
  portProtoText,
  REMOTE_ENDPOINT_INFO,
  readBackend,
  readTuple,
  revNatText,
  serviceKeyText,
  serviceSlot,
  serviceValueText,
  sourceRangeText,
  u8protoText,
} from '@ciliate/maps';
import { ETH, IPV4, IPV6 } from '@ciliate/packet';

/** An access to a map in words. Texts of keys and values are those of `cilium-dbg bpf`; undefined: it has none for them. */
export interface MapWords {
  /** What the program wants to know, or does. */
  question: string;
  /** What it learns; empty if it does not ask. */
  answer: string;
  keyText: string | undefined;
  valueText: string | undefined;
  matchedText: string | undefined;
}

/** What may be needed beside the bytes. */
export interface MapContext {
  agent: Agent;
  /** The packet at that moment. */
  frame: Uint8Array;
  /** The same key was looked up before and had an entry. */
  known: boolean;
}

type Words = Omit<MapWords, 'answer' | 'keyText' | 'valueText' | 'matchedText'> & Partial<MapWords>;
type Explain = (step: MapStep, context: MapContext) => Words;

/** Which of a pair of numbered families or endpoints a map is for, and the shard it is of, is no part of what it is. */
const MAPS: readonly [pattern: RegExp, explain: Explain][] = [
  [/^cilium_lb[46]_services_v2$/, service],
  [/^cilium_lb[46]_backends_v3$/, backend],
  [/^cilium_lb[46]_reverse_nat$/, reverseNat],
  [/^cilium_lb[46]_source_range$/, sourceRange],
  [/^cilium_lb[46]_affinity$/, affinity],
  [/^cilium_lb[46]_maglev$/, maglev],
  [/^cilium_ct_?(any)?[46]_global$/, conntrack],
  [/^cilium_snat_v[46]_external$/, nat],
  [/^cilium_lxc$/, endpoint],
  [/^cilium_ipcache_v2$/, ipcache],
  [/^cilium_policy_v2_\d+$/, policy],
  [/^cilium_ipv[46]_frag_datagrams$/, fragment],
  [/^cilium_node_map_v2$/, () => ({ question: 'What is the number of the other node?' })],
  [/^cilium_auth_map$/, () => ({ question: 'Have the two identities authenticated each other?' })],
];

export function explainMapStep(step: MapStep, context: MapContext): MapWords {
  const map = step.map.replace(/_s\d+$/, '');
  const explain = MAPS.find(([pattern]) => pattern.test(map))?.[1];
  const words = explain?.(step, context) ?? { question: `${step.access} in ${map}` };
  const answer = step.access === 'lookup' && step.value === undefined ? 'No.' : '';
  return { answer, keyText: undefined, valueText: undefined, matchedText: undefined, ...words };
}

const given = <T>(value: Uint8Array | undefined, text: (value: Uint8Array) => T): T | undefined =>
  value === undefined ? undefined : text(value);

function service({ key, value }: MapStep): Words {
  const keyText = serviceKeyText(key);
  const slot = serviceSlot(key);
  const texts = { keyText, valueText: given(value, serviceValueText) };
  if (slot > 0)
    return {
      ...texts,
      question: `Which backend is in slot ${slot} of the service?`,
      ...(value && { answer: `Backend ${le32(value, LB4_SERVICE.backend_id)}.` }),
    };
  return {
    ...texts,
    question: `Is ${keyText.replace(/ \(0\)$/, '')} the address of a service?`,
    ...(value && {
      answer: `Yes: backends in slots 1 to ${le16(value, LB4_SERVICE.count)}, reverse NAT id ${be16(value, LB4_SERVICE.rev_nat_index)}.`,
    }),
  };
}

function backend({ key, value }: MapStep): Words {
  const id = le32(key, 0);
  const place = given(value, (bytes) => {
    const { address, port, protocol } = readBackend(bytes);
    return `At ${hostPort(address, port)}/${u8protoText(protocol)}.`;
  });
  return {
    question: `Where is backend ${id}?`,
    keyText: `backend ${id}`,
    valueText: given(value, backendText),
    ...(place !== undefined && { answer: place }),
  };
}

function reverseNat({ key, value }: MapStep): Words {
  const id = be16(key, 0);
  return {
    question: `As what does the client know the service with reverse NAT id ${id}?`,
    keyText: `${id}`,
    valueText: given(value, revNatText),
    ...(value && { answer: `As ${revNatText(value)}.` }),
  };
}

function sourceRange({ key, value }: MapStep): Words {
  return {
    question: 'Is the client in a source range of the service?',
    keyText: sourceRangeText(key),
    ...(value && { answer: 'Yes.' }),
  };
}

function affinity({ access }: MapStep): Words {
  if (access === 'lookup') return { question: 'To which backend was this client sent before?' };
  return { question: access === 'update' ? 'The choice is kept for this client.' : 'The old choice is forgotten.' };
}

function maglev({ key }: MapStep): Words {
  const id = be16(key, 0);
  return { question: `Which Maglev table has the service with reverse NAT id ${id}?`, keyText: `${id}` };
}

const TUPLE_F_IN = 1;
const TUPLE_F_RELATED = 2;
const TUPLE_F_SERVICE = 4;

function conntrack({ access, key, value }: MapStep, { frame, known }: MapContext): Words {
  const texts = { keyText: ctKeyText(key), valueText: given(value, (bytes) => ctEntryText(bytes)) };
  const { daddr, flags } = readTuple(key);
  const isService = (flags & TUPLE_F_SERVICE) !== 0;
  const isRelated = (flags & TUPLE_F_RELATED) !== 0;
  if (access === 'update') {
    if (known) return { ...texts, question: 'The entry is brought up to date.' };
    if (isService) return { ...texts, question: 'The choice of the backend is remembered.' };
    if (isRelated)
      return { ...texts, question: 'ICMP errors about the connection will be known by an entry of their own.' };
    return { ...texts, question: 'The connection is remembered.' };
  }
  if (isService) {
    const answer = given(value, (bytes) => `Backend ${le32(bytes, CT_ENTRY.backend_id)}.`) ?? 'None yet.';
    return { ...texts, question: 'Which backend was chosen for this connection to the service?', answer };
  }
  const opened = (flags & TUPLE_F_IN) === 0 ? 'from here' : 'to here';
  // An entry lies under the tuple of the direction in which the connection was opened.
  const isForward = isSource(frame, daddr);
  const what = isRelated ? 'Is it an ICMP error about' : isForward ? 'Is it part of' : 'Is it an answer in';
  return {
    ...texts,
    question: `${what} a connection that was opened ${opened}?`,
    ...(value && { answer: 'Yes.' }),
  };
}

/** Are these bytes, of the family of the frame, its source address? */
function isSource(frame: Uint8Array, address: Uint8Array): boolean {
  const at = ETH.size + (address.length === 16 ? IPV6.src : IPV4.src);
  return address.every((byte, i) => byte === frame[at + i]);
}

function nat({ access, key, value }: MapStep, { agent }: MapContext): Words {
  const texts = {
    keyText: natKeyText(key),
    valueText: given(value, (bytes) => natEntryText(key, bytes, agent.memory.nowSeconds)),
  };
  if (access === 'update') return { ...texts, question: 'The translation is remembered.' };
  if (access === 'delete') return { ...texts, question: 'The old translation is forgotten.' };
  return { ...texts, question: 'Is the address translated?', ...(value && { answer: 'Yes.' }) };
}

function endpoint({ key, value }: MapStep, { agent }: MapContext): Words {
  const keyText = endpointKeyText(key);
  const found = given(value, (bytes) => {
    const id = le16(bytes, ENDPOINT_INFO.lxc_id);
    const pod = agent.endpointOfId(id);
    return pod === undefined ? 'Yes, it is the node itself.' : `Yes, endpoint ${id}: ${podName(pod)}.`;
  });
  return {
    question: `Is ${keyText.replace(/:\d+$/, '')} on this node?`,
    keyText,
    valueText: given(value, (bytes) => endpointInfoText(bytes).trim().replace(/ +/g, ' ')),
    ...(found !== undefined && { answer: found }),
  };
}

function ipcache({ key, value, matched }: MapStep, { agent }: MapContext): Words {
  const keyText = ipcacheKeyText(key);
  const identity = given(value, (bytes) => le32(bytes, REMOTE_ENDPOINT_INFO.sec_identity));
  const matchedText = given(matched, ipcacheKeyText);
  return {
    question: `Whose address is ${keyText.replace(/\/\d+$/, '')}? The longest prefix that holds it says it.`,
    keyText,
    valueText: given(value, ipcacheValueText),
    matchedText,
    answer:
      identity === undefined
        ? 'No prefix holds it.'
        : `${matchedText} is the longest: identity ${identity}, ${ownLabels(agent.identities.get(identity))}.`,
  };
}

const policyKeyText = (key: Uint8Array, cells: { before: string[] }): string => {
  const identity = policyIdentity(key);
  return `${cells.before[1]!.toLowerCase()}, ${identity === 0 ? 'any identity' : `identity ${identity}`}, ${portProtoText(key)}`;
};

function policy({ key, value, matched }: MapStep): Words {
  const cells = policyCells({ key, value: value ?? new Uint8Array(POLICY_ENTRY.size), stats: undefined });
  const keyText = policyKeyText(key, cells);
  const matchedText = given(matched, (bytes) => policyKeyText(bytes, cells));
  const [, proxyPort, auth] = cells.after;
  const priority = given(value, (bytes) => bytes[POLICY_ENTRY.proxyPortPriority]!);
  const valueText =
    value && `${cells.before[0]}, proxy port ${proxyPort}, priority ${priority}, authentication ${auth}`;
  return {
    question:
      policyIdentity(key) === 0
        ? 'What does the policy map say about any identity?'
        : `What does the policy map say about identity ${policyIdentity(key)}?`,
    keyText,
    valueText,
    matchedText,
    answer: matchedText === undefined ? 'Nothing.' : `${cells.before[0]}, by ${matchedText}.`,
  };
}

function fragment({ access, key, value }: MapStep): Words {
  const valueText = given(value, (bytes) => {
    const { SourceAddress, DestAddress } = fragmentRecord(key, bytes);
    return `${SourceAddress} -> ${DestAddress}`;
  });
  if (access === 'update')
    return { question: 'The ports of the datagram are remembered for its fragments.', valueText };
  return { question: 'Which ports has the datagram of this fragment?', valueText };
}
