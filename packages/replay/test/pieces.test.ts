import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from '@ciliate/agent';
import { openCapture, PcapngWriter, TCP_SYN, tcpSegment, udpDatagram } from '@ciliate/packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { replayPackets } from '../src/index.ts';
import { BATCH_BYTES } from '../src/packets/protocol.ts';
import { CLUSTER, ip, POLICY, startAgent, temporaryFolder } from './support.ts';

// Workers read a capture in pieces, each whoever has nothing to do: what one piece means may stand in another.

const folder = temporaryFolder();
const START_NS = 1_700_000_000_000_000_000n;
const NAMES = ['default/client-1', 'client-2', 'stranger', 'eth0', 'default/web-1'];
const SOURCES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '198.18.0.1', '10.0.0.11'].map(ip);
const WEB = ip('10.0.0.12');

let agent: Agent;
beforeAll(async () => {
  agent = await startAgent(`${CLUSTER}${POLICY}`);
});

/** What does not depend on the number of workers, and what each packet's comment says. */
async function outcome(path: string, workers: number, loop = 1) {
  const writePcap = join(folder, `out-${workers}.pcapng`);
  const { timings: _, ...result } = await replayPackets(agent, path, { workers, loop, writePcap });
  return { result, bytes: readFileSync(writePcap) };
}

async function sameForAll(path: string, loop = 1) {
  const one = await outcome(path, 1, loop);
  for (const workers of [2, 3]) {
    const many = await outcome(path, workers, loop);
    expect(many.result).toEqual(one.result);
    expect(many.bytes.equals(one.bytes)).toBe(true);
  }
  return one.result;
}

const payload = new Uint8Array(1400);
const frameFrom = (end: number, srcPort: number): Uint8Array =>
  tcpSegment({ src: SOURCES[end]!, dst: WEB, srcPort, dstPort: 80, seq: 1, flags: TCP_SYN, payload });

/** Bytes of a section: `count` packets, before every 400th of which another interface is declared, which is theirs. */
function section(name: string, count: number): Uint8Array {
  const path = join(folder, `${name}.section`);
  {
    using out = new PcapngWriter(path);
    let end = 0;
    let interfaceId = 0;
    for (let i = 0; i < count; i++) {
      if (i % 400 === 0) {
        end = (i / 400) % NAMES.length;
        interfaceId = out.addInterface({ name: NAMES[end]! });
      }
      out.write({ interfaceId, timestampNs: START_NS + BigInt(i) * 1000n, data: frameFrom(end, 1024 + i) });
    }
  }
  return readFileSync(path);
}

test('interfaces that are declared late, in several sections, over several passes', async () => {
  const path = join(folder, 'sections.pcapng');
  const [one, other] = [section('one', 2000), section('other', 1200)];
  expect(one.length).toBeGreaterThan(4 * BATCH_BYTES);
  writeFileSync(path, Buffer.concat([one, other]));
  const { hooks, judged, fates, drops } = await sameForAll(path, 2);
  expect(judged.packets).toBe(6400);
  // Of 8 times 400 packets one time 400 came in by eth0, three times by a pod that may not.
  expect([hooks['from-netdev'].packets, hooks['from-container'].packets]).toEqual([800, 5600]);
  expect(fates.dropped.packets).toBe(2 * 2 * 400);
  expect(drops[0]!.code).toBe(133);
});

test('fragments whose first one another worker has read', async () => {
  const path = join(folder, 'fragments.pcapng');
  const datagrams = 60;
  const parts = 40;
  {
    using out = new PcapngWriter(path);
    const interfaceId = out.addInterface({ name: 'default/client-1' });
    // Parts of many datagrams by turns: those of one lie in many pieces.
    for (let part = 0; part < parts; part++)
      for (let id = 0; id < datagrams; id++) {
        const data = udpDatagram({ src: SOURCES[0]!, dst: WEB, srcPort: 1024 + id, dstPort: 53, payload });
        const view = new DataView(data.buffer, data.byteOffset);
        view.setUint16(18, id);
        view.setUint16(20, (part === parts - 1 ? 0 : 0x2000) | (part * 176));
        view.setUint16(24, 0);
        view.setUint16(24, checksum(data.subarray(14, 34)));
        out.write({ interfaceId, timestampNs: START_NS + BigInt(part), data });
      }
  }
  const { fates, flows } = await sameForAll(path);
  expect(fates['to-endpoint'].packets).toBe(datagrams * parts);
  expect(flows.connections).toBe(datagrams);
});

function checksum(header: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += (header[i]! << 8) | header[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

describe('a block that is larger than a piece', () => {
  const small = section('small', 500);
  const path = join(folder, 'large.pcapng');

  test('a packet with a long comment is judged', async () => {
    const long = join(folder, 'long.pcapng');
    {
      using out = new PcapngWriter(long);
      const interfaceId = out.addInterface({ name: 'default/client-1' });
      const comment = 'x'.repeat(60_000);
      for (let i = 0; i < 60; i++)
        out.write({ interfaceId, timestampNs: START_NS, data: frameFrom(0, 1024 + i), comment });
    }
    expect((await sameForAll(long)).fates['to-endpoint'].packets).toBe(60);
  });

  test('one that is no packet is skipped', async () => {
    const block = Buffer.alloc(3 * BATCH_BYTES);
    block.writeUInt32LE(0x0bad, 0); // a custom block
    block.writeUInt32LE(block.length, 4);
    block.writeUInt32LE(block.length, block.length - 4);
    writeFileSync(path, Buffer.concat([small, block, section('more', 300)]));
    expect((await sameForAll(path)).judged.packets).toBe(800);
  });
});

test.each([1, 3])(
  'where a capture breaks off is told as by a reader of the whole, with %i workers',
  async (workers) => {
    const path = join(folder, 'broken.pcapng');
    writeFileSync(path, section('broken', 2000).subarray(0, -700));
    let message = '';
    try {
      for (const _ of openCapture(path));
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/truncated packet 2000 at byte/);
    await expect(replayPackets(agent, path, { workers })).rejects.toMatchObject({ message, code: 'BAD_INPUT' });
  },
);
