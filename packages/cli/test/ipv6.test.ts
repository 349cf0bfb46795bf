import { expect, test } from 'vitest';
import { ciliateHere } from './ciliate.ts';

const CLUSTER = ['-f', 'packages/cli/test/fixtures/dual_stack.yaml'];
const ciliate = (line: string) => ciliateHere(...split(line), ...CLUSTER);
const split = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);

const verdicts: [sentence: string, args: string, ...lines: RegExp[]][] = [
  [
    'the first family that both have, as the client lists them',
    '--from client --to web --port 80',
    /: 10\.0\.0\.11 has identity/,
    /^ANSWERED: /m,
  ],
  ['or IPv6, if asked for', '--from client --to web --port 80 --ipv6', /: fd00::11 has identity/, /^ANSWERED: /m],
  [
    'the only one that both have',
    '--from stranger --to web --port 80',
    /: fd00::11 has identity/,
    /^DROPPED: .* time-out$/m,
  ],
  [
    'a service under its IPv6 address',
    '--from client --to svc/shop --port 80 --ipv6',
    /service \[fd00:96::1\]:80 is translated to backend \[fd00::11\]:80/,
    /^ANSWERED: /m,
  ],
  [
    'a request to an address, denied by the proxy',
    "--from client --to fd00:96::1 --port 80 --http 'GET /no'",
    /^HTTP-403: the client sees HTTP 403 Access denied$/m,
  ],
  ['and one that it lets pass', "--from client --to web --port 80 --ipv6 --http 'GET /ok'", /^ANSWERED: .* HTTP 200$/m],
  [
    'a prefix that a rule names',
    '--from client --to 2001:db8:2::5 --port 443',
    /^default\/client -> \[?2001:db8:2::5\]?:443: connect$/m,
    /cidr:2001-db8-2--0\/48 reserved:world-ipv6$/m,
    /^FORWARDED: the client sees left the node$/m,
  ],
  [
    'an address that no rule names is of the IPv6 world',
    '--from client --to 2001:db8:3::5 --port 443',
    /2001:db8:3::5 has identity 10 \(ipcache\): reserved:world-ipv6$/m,
    /^ {8}- "2001:db8:3::5\/128"$/m,
  ],
  [
    'a client outside of the cluster',
    '--from 2001:db8:1::7 --to pod/web --port 443',
    /^ANSWERED: the client sees connected$/m,
  ],
  [
    'so it is about ICMPv6',
    '--from stranger --to web --port 128/icmpv6',
    /128\/ICMPv6 from identity/,
    /family: IPv6$/m,
  ],
];

test.each(verdicts)('verdict: %s', async (_sentence, args, ...lines) => {
  const { code, stdout, stderr } = await ciliate(`verdict ${args}`);
  expect([code, stderr]).toEqual([0, '']);
  for (const line of lines) expect(stdout).toMatch(line);
});

const packets: [sentence: string, args: string, ...lines: RegExp[]][] = [
  [
    'between the first family that both have',
    '--from client --to web:22',
    /^ {2}IPv4 {6}10\.0\.0\.1 -> 10\.0\.0\.11, TCP/m,
    /^Result: dropped: 133/m,
  ],
  [
    'IPv6, if asked for',
    '--from client --to web:22 --ipv6',
    /^ {2}IPv6 {6}fd00::1 -> fd00::11, TCP, hop limit 64, 60 bytes$/m,
  ],
  [
    'an echo',
    '--from stranger --to web --icmp',
    /^ {2}ICMPv6 {4}type 128, code 0, id 1, sequence 1/m,
    /^Result: dropped: 133/m,
  ],
  ['an address with its port in brackets', '--from client --to [fd00:96::1]:80', /^Result: to the proxy, port 10000$/m],
  ['an address alone, for an echo', '--from stranger --to fd00::1 --icmp', /^Result: delivered to default\/client$/m],
  ['from the network', '--from-world 2001:db8:1::9 --to web:80', /^Result: delivered to default\/web$/m],
  [
    'the messages of DEBUG',
    '--from client --to [fd00:96::1]:80 --debug',
    /debug message: Service backend slot lookup: slot=1, dport=80$/m,
  ],
];

test.each(packets)('trace packet: %s', async (_sentence, args, ...lines) => {
  const { code, stdout, stderr } = await ciliate(`trace packet ${args}`);
  expect([code, stderr]).toEqual([0, '']);
  for (const line of lines) expect(stdout).toMatch(line);
});

const refused: [command: string, message: RegExp][] = [
  [
    'verdict --from client --to 10.0.0.11 --port 80 --ipv6',
    /default\/client and 10\.0\.0\.11 do not both have IPv6 addresses/,
  ],
  [
    'verdict --from stranger --to 10.0.0.11 --port 80',
    /default\/stranger and 10\.0\.0\.11 do not have addresses of one family/,
  ],
  ['verdict --from client --to fd00::1::2 --port 80', /fd00::1::2/],
  ['trace packet --from stranger --to 10.0.0.1:80', /do not have addresses of one family/],
  [
    'trace packet --from-world 10.9.9.9 --to stranger:80',
    /10\.9\.9\.9 and stranger:80 do not have addresses of one family/,
  ],
  ['trace packet --from-world 10.9.9.9 --to web:80 --ipv6', /10\.9\.9\.9 and web:80 do not both have IPv6 addresses/],
  ['trace packet --pcap x.pcap --number 1 --ipv6', /--ipv6: a packet of a capture has its addresses/],
  ['trace packet --from client --to fd00::11', /--to fd00::11: want a port/],
];

test.each(refused)('%s exits 2', async (command, message) => {
  const { code, stdout, stderr } = await ciliate(command);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, '']);
});

const lists: [command: string, ...lines: RegExp[]][] = [
  [
    'bpf ipcache list',
    /^::\/0 +identity=10 /m,
    /^0\.0\.0\.0\/0 +identity=9 /m,
    /^fd00:1::1\/128 +identity=1 /m,
    /^2001:db8:1::\/48 +identity=16777217 /m,
  ],
  ['bpf endpoint list', /^fd00::1:0 +id=1 /m, /^10\.0\.0\.1:0 +id=1 /m, /^fd00:1::1:0 +\(localhost\)/m],
  ['bpf lb list', /^\[fd00:96::1\]:80\/TCP \(1\) +\[fd00::11\]:80\/TCP \(\d+\) \(1\)/m],
];

test.each(lists)('%s', async (command, ...lines) => {
  const { code, stdout } = await ciliate(command);
  expect(code).toBe(0);
  for (const line of lines) expect(stdout).toMatch(line);
});
