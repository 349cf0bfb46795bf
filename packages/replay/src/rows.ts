import {
  type Agent,
  type PolicyReason,
  whyAllowed,
  whyDropped,
  whyRequestDenied,
  whyRequestPassed,
} from '@ciliate/agent';
import { RCODE, readAnswer, speaksHttp2 } from '@ciliate/envoy';
import { formatIp, joinHostPort, type ParsedFrame, TCP_ACK, TCP_SYN } from '@ciliate/packet';
import { DatagramPlayer } from './datagram_player.ts';
import { isDns, isIcmp, type Transport } from './flow.ts';
import { type HttpExchange, readResponses, type SeenResponse } from './http_exchanges.ts';
import { addressesIn, type Names, questionText } from './names.ts';
import type { Fate } from './node.ts';
import type { Player } from './replay.ts';
import type { TcpPlayer } from './tcp_player.ts';

/**
 * How it ended, as the client sees it. `answered`: by the server. `dropped`: by a program, so nothing comes back.
 * `http-403` (or another status): by the proxy itself, as `refused`: by the DNS proxy. `reset`: by the proxy, at the
 * connection. `unresolved`: the name was never answered. `forwarded`: it left the node, or came to its stack. `no-answer`: it
 * arrived, but the recording has no answer to it.
 */
export type Outcome =
  | 'answered'
  | 'dropped'
  | 'refused'
  | 'reset'
  | 'unresolved'
  | 'forwarded'
  | 'no-answer'
  | `http-${number}`;

/** One connection or request of a replay. */
export interface Row {
  transport: Transport;
  /** `namespace/name` of pods; the address where no pod is known. */
  source: string;
  sourcePort: number;
  /** As the client addressed it: a service, a pod or an address, with the port. */
  destination: string;
  /** The pod that got it, or would have. */
  backend: string | undefined;
  /** `POST /v1/request-landing`, `A name`, `connect`. */
  asked: string;
  verdict: 'FORWARDED' | 'REDIRECTED' | 'DROPPED' | 'NOT SENT';
  outcome: Outcome;
  /** In a word: what its user sees. */
  sees: string;
  /** Positive; only with `dropped`. */
  dropCode: number | undefined;
  why: string;
  /** What policy said about the first packet, sending side first. */
  policy: PolicyReason[];
}

export function rowsOf(agent: Agent, player: Player, names: Names): Row[] {
  const base = {
    transport: player.conversation.transport,
    source: agent.nameOf(player.conversation.client.address),
    sourcePort: player.conversation.client.port,
    destination: destinationOf(agent, player),
    backend: player.backend === undefined ? undefined : agent.nameOf(player.backend.address),
    policy: player.first === undefined ? [] : agent.explainPolicy(player.first.steps),
    dropCode: undefined,
  };
  const asked = askedOf(player);
  const fate = player instanceof DatagramPlayer ? player.first : (player.drop ?? player.first);
  if (fate === undefined) return [{ ...base, asked, ...notSent(player, names) }];
  if (fate.kind === 'dropped') return [{ ...base, asked, ...dropped(agent, fate) }];
  if (fate.kind === 'answered') return [{ ...base, asked, ...ICMP_ERROR }];
  const why = whyAllowed(base.policy);
  if (fate.kind === 'stack' || fate.kind === 'network') {
    const sees = agent.isHostAddress(player.conversation.server.address) ? 'arrived at the node' : 'left the node';
    return [{ ...base, asked, verdict: 'FORWARDED', outcome: 'forwarded', sees, why }];
  }
  if (player instanceof DatagramPlayer) return [{ ...base, asked, why, ...datagramAnswer(player, fate) }];
  if (player.exchanges.length === 0) return [{ ...base, asked, why, ...connectionAnswer(player) }];
  return httpRows(agent, player, base, why);
}

type Base = Pick<Row, 'transport' | 'source' | 'sourcePort' | 'destination' | 'backend' | 'policy' | 'dropCode'>;
type Answer = Pick<Row, 'verdict' | 'outcome' | 'sees' | 'why'> & { dropCode?: number };

function destinationOf(agent: Agent, { conversation: { server, transport } }: Player): string {
  const service = agent.services.find(
    ({ frontend }) =>
      frontend.address === server.address && frontend.port === server.port && frontend.protocol === transport,
  );
  const name = service === undefined ? agent.nameOf(server.address) : `${service.namespace}/${service.name}`;
  return isIcmp(transport) ? name : joinHostPort(name, server.port);
}

function askedOf(player: Player): string {
  const { conversation } = player;
  if (!(player instanceof DatagramPlayer)) {
    const request = player.exchanges[0]?.request;
    return request === undefined ? 'connect' : `${request.method} ${request.target}`;
  }
  if (isIcmp(conversation.transport)) return 'echo';
  const payload = conversation.packets[0]!.packet.parsed.payload;
  return (
    (isDns(conversation.transport, conversation.server) ? questionText(payload) : undefined) ??
    `${payload.length} bytes`
  );
}

function notSent(player: Player, names: Names): Answer {
  const name = names.nameOf(player);
  if (name === undefined) return { verdict: 'NOT SENT', ...NO_ANSWER, why: whyNotSent(player) };
  const why = `the answer for ${name} never arrived, so the client does not know the address`;
  return { verdict: 'NOT SENT', outcome: 'unresolved', sees: 'name does not resolve', why };
}

function whyNotSent({ conversation: { transport, packets } }: Player): string {
  if (transport === 'TCP' && !packets.some(({ from, packet }) => from === 'client' && opens(packet.parsed)))
    return 'the recording begins in the middle: without its SYN a connection cannot be replayed';
  return 'what the first recorded packet answers was not delivered';
}

const opens = ({ tcp }: ParsedFrame): boolean => (tcp!.flags & (TCP_SYN | TCP_ACK)) === TCP_SYN;

function dropped(agent: Agent, fate: Extract<Fate, { kind: 'dropped' }>): Answer {
  return {
    verdict: 'DROPPED',
    outcome: 'dropped',
    sees: 'time-out',
    why: `${whyDropped(agent.explainPolicy(fate.steps), fate.text)} (${fate.code} ${fate.text})`,
    dropCode: fate.code,
  };
}

/** What IPv4 drops for want of a hop, the programs answer for IPv6. */
const ICMP_ERROR: Answer = {
  verdict: 'DROPPED',
  outcome: 'dropped',
  sees: 'an ICMP error',
  why: 'a program answered in the place of the server: the packet had no hop left to live',
};

const NO_ANSWER = { outcome: 'no-answer', sees: 'no answer was recorded' } as const;

function datagramAnswer(
  player: DatagramPlayer,
  fate: Fate,
): Pick<Row, 'verdict' | 'outcome' | 'sees'> & { why?: string } {
  const verdict = fate.kind === 'proxy' ? 'REDIRECTED' : 'FORWARDED';
  const answer = player.answers[0];
  if (answer === undefined && fate.kind === 'proxy')
    return { verdict, outcome: 'no-answer', sees: 'what the DNS proxy says to the name' };
  if (answer === undefined) return { verdict, ...NO_ANSWER };
  if (player.wasRefused) {
    const sees = `DNS ${readAnswer(answer.payload)?.rcode === RCODE.nameError ? 'NXDOMAIN' : 'REFUSED'}`;
    return { verdict, outcome: 'refused', sees, why: 'no DNS rule allows the name' };
  }
  const { transport, server } = player.conversation;
  if (isIcmp(transport)) return { verdict, outcome: 'answered', sees: 'echo reply' };
  const addresses = isDns(transport, server) ? addressesIn(answer.payload) : [];
  const sees =
    addresses.length > 0
      ? addresses.map(({ address }) => formatIp(address)).join(', ')
      : `${answer.payload.length} bytes`;
  return { verdict, outcome: 'answered', sees };
}

function connectionAnswer(player: TcpPlayer): Pick<Row, 'verdict' | 'outcome' | 'sees'> & { why?: string } {
  const verdict = player.proxied === undefined ? 'FORWARDED' : 'REDIRECTED';
  if (player.wasReset) return { verdict, outcome: 'reset', sees: 'connection reset' };
  if (player.atClient.isn === undefined) return { verdict, ...NO_ANSWER };
  const { length } = player.atClient.bytes;
  if (player.proxied !== undefined && speaksHttp2(player.conversation.streams.client.bytes))
    return { verdict, ...HTTP2 };
  // What is no HTTP reaches no server: whatever came is the proxy's.
  const [refusal] = player.proxied === undefined ? [] : readResponses(player.atClient.bytes, [NO_HTTP]);
  if (refusal !== undefined)
    return {
      verdict,
      outcome: `http-${refusal.status}`,
      sees: httpText(refusal),
      why: 'the proxy answered by itself: the client sent no valid HTTP/1 request',
    };
  return { verdict, outcome: 'answered', sees: length === 0 ? 'connected' : `connected, ${length} bytes` };
}

const HTTP2 = {
  outcome: 'no-answer',
  sees: 'what the proxy says to HTTP/2',
  why: 'HTTP/2 to the proxy is judged on live connections (ciliate up), not from a capture',
} as const;
const NO_HTTP: HttpExchange = { request: { method: '', target: '' }, response: undefined };

const httpText = ({ status, firstLine }: SeenResponse): string => `HTTP ${status} ${shorten(firstLine)}`.trim();

function httpRows(agent: Agent, player: TcpPlayer, base: Base, why: string): Row[] {
  const responses = readResponses(player.atClient.bytes, player.exchanges);
  const verdict = player.proxied === undefined ? 'FORWARDED' : 'REDIRECTED';
  return player.exchanges.map(({ request, response: recorded }: HttpExchange, index): Row => {
    const row = { ...base, asked: `${request.method} ${request.target}`, verdict, why } as const;
    const response = responses[index];
    const judged = player.proxied?.judgement(index);
    const log = judged?.record;
    if (response === undefined) {
      if (player.wasReset) return { ...row, outcome: 'reset', sees: 'connection reset' };
      if (recorded === undefined) return { ...row, ...NO_ANSWER };
      if (player.proxied !== undefined && player.atClient.finished)
        return { ...row, outcome: 'reset', sees: 'connection closed', why: 'the proxy had closed the connection' };
      return { ...row, outcome: 'no-answer', sees: 'no answer', why: 'not all of it was sent again' };
    }
    const sees = httpText(response);
    if (player.proxied === undefined) return { ...row, outcome: 'answered', sees };
    if (log?.entryType === 'Request' && player.proxied.wasAnswered(index))
      return { ...row, outcome: 'answered', sees, why: whyRequestPassed(log) };
    const denied = log?.entryType === 'Denied';
    return {
      ...row,
      outcome: `http-${response.status}`,
      sees,
      why: denied ? whyRequestDenied(log, agent.explainPolicy([judged!.redirect])) : 'the proxy answered by itself',
    };
  });
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text);
