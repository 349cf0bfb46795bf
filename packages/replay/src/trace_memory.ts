import { type Agent, CT_SHARDS } from '@ciliate/agent';
import { DEFAULT_CONFIG } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';
import { FragmentTable } from './packets/fragment_table.ts';
import { Places } from './packets/places.ts';
import { Steering } from './packets/steering.ts';
import type { RecordedPacket } from './recording.ts';

/** Words of a packet's entry in the trace: where its bytes are, how many, whose they are, and who judges them. */
export const PACKET = { words: 4, at: 0, length: 1, endpoint: 2, shard: 3 } as const;

/** A trace in the shared memory, for workers to read: `count` entries of PACKET.words u32 each from `index` on. */
export interface TraceInMemory {
  index: Address;
  count: number;
}

/**
 * Copies the packets that pods sent into the shared memory. All packets of a connection get the same shard, so that one
 * conntrack map sees them in the order of the trace.
 */
export function putTrace(agent: Agent, packets: readonly RecordedPacket[]): TraceInMemory {
  const sent = packets.filter(({ sender }) => sender !== undefined);
  const { memory } = agent;
  const fragments = FragmentTable.create(memory);
  const steering = new Steering(new Places(memory), DEFAULT_CONFIG, CT_SHARDS, fragments);
  const index = memory.alloc(Math.max(8, sent.length * PACKET.words * 4));
  sent.forEach((packet, i) => {
    steering.steer(packet.frame, 0, packet.frame.length);
    const entry = (index >> 2) + i * PACKET.words;
    memory.u32[entry + PACKET.at] = putBytes(memory, packet.frame);
    memory.u32[entry + PACKET.length] = packet.frame.length;
    memory.u32[entry + PACKET.endpoint] = packet.sender!.id;
    memory.u32[entry + PACKET.shard] = steering.shard;
  });
  fragments.destroy();
  return { index, count: sent.length };
}

export function freeTrace(memory: Memory, { index, count }: TraceInMemory): void {
  for (let i = 0; i < count; i++) {
    const entry = (index >> 2) + i * PACKET.words;
    memory.free(memory.u32[entry + PACKET.at]!, Math.max(8, memory.u32[entry + PACKET.length]!));
  }
  memory.free(index, Math.max(8, count * PACKET.words * 4));
}

function putBytes(memory: Memory, bytes: Uint8Array): Address {
  const at = memory.alloc(Math.max(8, bytes.length));
  memory.u8.set(bytes, at);
  return at;
}
