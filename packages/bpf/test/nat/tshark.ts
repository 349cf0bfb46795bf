import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePcap } from '@ciliate/packet';

export const hasTshark = spawnSync('tshark', ['--version']).error === undefined;

const SUMMED = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'];

/** @returns the places of the frames in which tshark finds a bad checksum, of whatever layer, also a quoted one */
export function badToTshark(frames: readonly Uint8Array[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'ciliate-'));
  try {
    const file = join(folder, 'frames.pcap');
    writePcap(
      file,
      frames.map((data, i) => ({ data, timestampNs: BigInt(i) })),
    );
    const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
    const bad = SUMMED.map((protocol) => `${protocol}.checksum.status == "Bad"`).join(' || ');
    const out = execFileSync('tshark', ['-r', file, '-n', ...checks, '-Y', bad, '-T', 'fields', '-e', 'frame.number'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return out
      .split('\n')
      .filter(Boolean)
      .map((number) => Number(number) - 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
