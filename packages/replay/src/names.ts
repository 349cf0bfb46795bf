import type { Endpoint } from '@ciliate/agent';
import { formatIp, type IpAddress, parseIp } from '@ciliate/packet';
import { decode, type Packet } from 'dns-packet';
import { DatagramPlayer } from './datagram_player.ts';
import { isDns } from './flow.ts';
import type { Player } from './replay.ts';

/** An answer that told a client an address. */
interface Lesson {
  name: string;
  resolver: DatagramPlayer;
  packetNumber: number;
  timeNs: bigint;
}

/** What clients learnt by DNS (A and AAAA records over UDP), and so whom they could not have spoken to without it. */
export interface Names {
  /** May this conversation take place? False while the answer that named its server has not reached the client. */
  allow(player: Player): boolean;
  /** The name by which the client found the server of this conversation, if it looked one up. */
  nameOf(player: Player): string | undefined;
}

export function learnNames(players: readonly Player[]): Names {
  const lessons = new Map<string, Lesson[]>();
  for (const player of players) {
    const { transport, server } = player.conversation;
    if (!(player instanceof DatagramPlayer) || !isDns(transport, server)) continue;
    const client = senderOf(player);
    for (const { from, packet } of player.conversation.packets) {
      if (from !== 'server' || client === undefined) continue;
      for (const { name, address } of addressesIn(packet.parsed.payload)) {
        const key = `${client.id} ${formatIp(address)}`;
        const lesson = { name, resolver: player, packetNumber: packet.number, timeNs: packet.timeNs };
        lessons.set(key, [...(lessons.get(key) ?? []), lesson]);
      }
    }
  }
  const needed = new Map<Player, Lesson>();
  for (const player of players) {
    const { packets, server } = player.conversation;
    const known = lessons.get(`${senderOf(player)?.id} ${formatIp(server.address)}`) ?? [];
    const last = known.findLast(({ timeNs }) => timeNs < packets[0]!.packet.timeNs);
    if (last !== undefined && last.resolver !== player) needed.set(player, last);
  }
  return {
    allow: (player) => {
      const lesson = needed.get(player);
      return lesson === undefined || lesson.resolver.answered(lesson.packetNumber);
    },
    nameOf: (player) => needed.get(player)?.name,
  };
}

function senderOf({ conversation }: Player): Endpoint | undefined {
  return conversation.packets.find(({ from }) => from === 'client')?.packet.sender;
}

/** The question of a DNS query, as `A name`; undefined if the bytes are no query. */
export function questionText(payload: Uint8Array): string | undefined {
  const question = decodeMessage(payload)?.questions?.[0];
  return question === undefined ? undefined : `${question.type} ${question.name}`;
}

/** The addresses of the A and AAAA records of an answer. */
export function addressesIn(payload: Uint8Array): { name: string; address: IpAddress }[] {
  const message = decodeMessage(payload);
  const name = message?.questions?.[0]?.name;
  if (message === undefined || name === undefined) return [];
  return (message.answers ?? []).flatMap((answer) => {
    const address = answer.type === 'A' || answer.type === 'AAAA' ? parseIp(answer.data) : undefined;
    return address === undefined ? [] : [{ name, address }];
  });
}

function decodeMessage(payload: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(payload));
  } catch {
    return undefined; // not DNS, whatever the port says
  }
}
