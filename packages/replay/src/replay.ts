import type { Agent } from '@ciliate/agent';
import type { Flow, LostEvents } from '@ciliate/hubble';
import { type Conversation, findConversations, type Unreplayed } from './conversations.ts';
import { DatagramPlayer } from './datagram_player.ts';
import { learnNames, type Names } from './names.ts';
import { Node } from './node.ts';
import { type RecordedPacket, record, type TracePacket } from './recording.ts';
import { type Row, rowsOf } from './rows.ts';
import { TcpPlayer } from './tcp_player.ts';

export interface ReplayResult {
  /** One for each request that was or would have been made, and each connection or datagram that carries none. */
  rows: Row[];
  /** What Hubble saw, in order. */
  flows: Flow[];
  /** What it missed. */
  lost: LostEvents[];
  /** Packets that were left out, each with the reason. */
  unreplayed: Unreplayed[];
}

/** How a conversation is played: by its transport. */
export type Player = TcpPlayer | DatagramPlayer;

/** Called after each recorded packet; `done` of `total`. */
export type OnProgress = (done: number, total: number) => void;

/**
 * Replays a trace as conversations: what was recorded without any policy happens again under the policies of this agent.
 * A packet is sent only if what it answers was delivered; a connection to an address that a DNS answer told only if that
 * answer was. Recorded packets go in the order of their times, and what they cause happens before the next.
 */
export async function replayConversations(
  agent: Agent,
  packets: Iterable<TracePacket>,
  onProgress?: OnProgress,
): Promise<ReplayResult> {
  const { players, names, flows, lost, unreplayed } = await playTrace(agent, packets, onProgress);
  return { rows: players.flatMap((player) => rowsOf(agent, player, names)), flows, lost, unreplayed };
}

/** What was played, for whoever wants to see more of it than rows. */
export interface Played extends Omit<ReplayResult, 'rows'> {
  players: Player[];
  names: Names;
}

export async function playTrace(
  agent: Agent,
  packets: Iterable<TracePacket>,
  onProgress?: OnProgress,
): Promise<Played> {
  const recorded = [...packets].map((packet) => record(agent, packet)).sort(byTime);
  const { conversations, unreplayed } = findConversations(recorded, agent.services);
  const node = new Node(agent);
  try {
    const played = await playAll(agent, node, conversations, onProgress);
    return { ...played, flows: node.flows, lost: node.lost, unreplayed };
  } finally {
    node.close();
  }
}

async function playAll(
  agent: Agent,
  node: Node,
  conversations: readonly Conversation[],
  onProgress?: OnProgress,
): Promise<Pick<Played, 'players' | 'names'>> {
  const players = conversations.map((conversation) => newPlayer(agent, node, conversation));
  const names = learnNames(players);
  const turns = players
    .flatMap((player) => player.conversation.packets.map(({ from, packet }) => ({ player, from, packet })))
    .sort((a, b) => byTime(a.packet, b.packet));
  for (const [done, { player, from, packet }] of turns.entries()) {
    if (names.allow(player)) await player.play(from, packet);
    onProgress?.(done + 1, turns.length);
  }
  return { players, names };
}

function byTime(a: RecordedPacket, b: RecordedPacket): number {
  if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs ? -1 : 1;
  return a.number - b.number;
}

function newPlayer(agent: Agent, node: Node, conversation: Conversation): Player {
  return conversation.transport === 'TCP'
    ? new TcpPlayer(agent, node, conversation)
    : new DatagramPlayer(agent, node, conversation);
}
