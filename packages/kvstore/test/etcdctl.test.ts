import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isInstalled, type RunningBackend, realEtcd, served } from './backends.ts';

/** What a person types, with what the command reads. IDs of leases differ: `LEASE` stands for the last one granted. */
const COMMANDS: [line: string, input?: string][] = [
  ['put a 1'],
  ['put a 2 --prev-kv'],
  ['put ab 3'],
  ['put b é'],
  ['get a'],
  ['get a -w fields'],
  ['get a b'],
  ['get a --from-key --keys-only'],
  ['get a --prefix --print-value-only'],
  ['get a --rev=2'],
  ['get a --rev=99'],
  ['get --prefix a --sort-by=MODIFY --order=DESCEND --limit=1'],
  ['get --prefix a --sort-by=VALUE'],
  ['get nothing'],
  ['get a --consistency=s'],
  ['put "" 1'],
  ['put a 3 --ignore-value'],
  ['put nothing --ignore-value'],
  ['lease grant 60'],
  ['put leased 1 --lease=LEASE'],
  ['put leased 2 --ignore-lease'],
  ['lease timetolive LEASE --keys'],
  ['lease list'],
  ['lease keep-alive --once LEASE'],
  ['lease revoke LEASE'],
  ['lease revoke LEASE'],
  ['lease timetolive LEASE'],
  ['put a 1 --lease=1234'],
  ['txn -i', 'mod("a") > "0"\n\nput b 5\nget a\n\nget c\n\n'],
  ['txn -i', 'ver("c") = "1"\n\nput b 6\n\nget --prefix a\ndel ab\n\n'],
  ['txn -i', '\nput x 1\nput x 2\n\n\n'],
  ['del nothing'],
  ['del b --prev-kv'],
  ['get a --prefix -w json'],
  ['watch --rev 2 a --prev-kv'],
  ['watch --rev 2 --prefix a'],
  ['compaction 5'],
  ['compaction 5'],
  ['compaction 99'],
  ['get a --rev=2'],
  ['watch --rev 2 a'],
  ['endpoint health'],
  ['alarm list'],
  ['del --prefix ""'],
];

describe.skipIf(!isInstalled('etcd') || !isInstalled('etcdctl'))('etcdctl, beside real etcd', () => {
  let ours: RunningBackend;
  let theirs: RunningBackend;
  beforeAll(async () => {
    [ours, theirs] = await Promise.all([served(), realEtcd()]);
  }, 30_000);
  afterAll(async () => {
    await Promise.all([ours?.stop(), theirs?.stop()]);
  });

  test('every command prints the same', async () => {
    const [a, b] = await Promise.all([transcript(ours.endpoint!), transcript(theirs.endpoint!)]);
    expect(a).toEqual(b);
    expect(a.length).toBe(COMMANDS.length);
  }, 60_000);
});

async function transcript(endpoint: string): Promise<string[]> {
  const told: string[] = [];
  let lease = '';
  for (const [line, input = ''] of COMMANDS) {
    const args = line
      .replace('LEASE', lease)
      .split(' ')
      .map((word) => (word === '""' ? '' : word));
    const output = await run(endpoint, args, input, line.startsWith('watch'));
    lease = /lease ([0-9a-f]{16}) granted/.exec(output)?.[1] ?? lease;
    const shown = output
      .replaceAll(lease || 'no lease', 'LEASE')
      .replace(/took = .*/, 'took')
      .replace(/.*is healthy/, 'is healthy')
      .replace(/remaining\(\d+s\)/, 'remaining')
      .replace(/^\{"level".*\n/gm, '') // the log of the client's retries names the endpoint
      .replace(/"?(cluster_id|member_id|raft_term|ClusterID|MemberID|RaftTerm)"? ?: ?\d+/g, '$1');
    told.push(`$ etcdctl ${line}\n${shown}`);
  }
  return told;
}

/** @param untilQuiet the command does not end by itself: it is stopped when it has told what there is */
function run(endpoint: string, args: string[], input: string, untilQuiet: boolean): Promise<string> {
  const child = spawn('etcdctl', ['--endpoints', endpoint, ...args], { env: { ...process.env, ETCDCTL_API: '3' } });
  let output = '';
  let quiet: NodeJS.Timeout | undefined;
  const take = (data: Buffer) => {
    output += data;
    clearTimeout(quiet);
    if (untilQuiet) quiet = setTimeout(() => child.kill(), 500);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  child.stdin.on('error', () => {}); // most commands end without reading it
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', () => resolve(output)));
}
