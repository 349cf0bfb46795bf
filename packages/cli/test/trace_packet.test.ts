import { expect, test } from 'vitest';
import { ciliateHere } from './ciliate.ts';

const OBJECTS = ['-f', 'examples/deathstar', '-f', 'examples/deathstar/policies/l7.yaml'];
const CAPTURE = 'examples/deathstar/deathstar.pcapng';

const trace = (args: string) => ciliateHere('trace', 'packet', ...OBJECTS, ...args.split(' ').filter(Boolean));

const packets: [args: string, line: RegExp, result: string][] = [
  [
    '--from xwing --to deathstar:80 --syn',
    /^ {2}TCP {7}40000 -> 80, SYN, sequence 1000, /m,
    'dropped: 133 Policy denied',
  ],
  ['--from tiefighter --to deathstar:80', /^ {2}TCP {7}40000 -> 80, SYN, /m, 'to the proxy, port 10000'],
  ['--from xwing --to pod/tiefighter:22 --ack --fin', /-> 22, ACK FIN, /, 'delivered to default/tiefighter'],
  [
    '--from xwing --to kube-system/kube-dns:53 --udp',
    /^ {2}UDP {7}40000 -> 53, /m,
    'delivered to kube-system/kube-dns',
  ],
  ['--from xwing --to tiefighter --icmp', /^ {2}ICMP {6}type 8, code 0, id 1, /m, 'delivered to default/tiefighter'],
  ['--from xwing --to 203.0.113.9:443 --source-port 1234', /1234 -> 443, SYN/, 'leaves the node by device 5'],
  ['--from-world 203.0.113.9 --to deathstar-1:80', /^54 bytes from the network$/m, 'dropped: 133 Policy denied'],
  [`--pcap ${CAPTURE} --number 12`, /^5\. {2}=> service .* \(known from conntrack\)$/m, 'to the proxy, port 10000'],
];

test.each(packets)('trace packet %s', async (args, line, result) => {
  const { code, stdout, stderr } = await trace(args);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(line);
  expect(stdout).toMatch(new RegExp(`^Result: ${result.replace(/[.*+?^$]/g, '\\$&')}`, 'm'));
});

test('with --alone the packets before it are not there', async () => {
  const { stdout } = await trace(`--pcap ${CAPTURE} --number 12 --alone`);
  expect(stdout).toMatch(/^ {4}None yet\.$/m);
  expect(stdout).toMatch(/\(chosen now\)$/m);
});

test('--json has each step with the same bytes', async () => {
  const { stdout } = await trace('--from xwing --to deathstar:80 --json');
  const { from, bytes, steps, end } = JSON.parse(stdout);
  expect([from, bytes, end.kind]).toEqual(['default/xwing', 54, 'dropped']);
  expect(steps[1]).toMatchObject({ kind: 'map', key: '0a6000500050000006000000', value: '000000000200000100000000' });
  const policy = steps.filter(({ kind }: { kind: string }) => kind === 'policy').at(-1);
  expect(policy).toMatchObject({ because: expect.stringMatching(/^no rule allows 80\/TCP from identity 34687/) });
});

const refused: [name: string, args: string, message: RegExp][] = [
  ['no source', '--to deathstar:80', /name one source of the packet: --pcap, --from or --from-world/],
  ['two sources', '--from xwing --from-world 1.2.3.4 --to deathstar:80', /name one source/],
  ['no destination', '--from xwing', /--to: say where the packet goes/],
  ['a service as source', '--from deathstar --to xwing:1', /a service sends nothing/],
  ['an unknown pod', '--from xwnig --to deathstar:80', /did you mean "default\/xwing"/],
  ['a service without its port', '--from xwing --to deathstar', /--to deathstar: want a port from 1 to 65535/],
  ['a port that the service does not have', '--from xwing --to deathstar:81', /--to deathstar:81: .* has 80\/TCP/],
  ['a protocol that it does not have', '--from xwing --to deathstar:80 --udp', /has 80\/TCP/],
  ['ICMP with a port', '--from xwing --to deathstar:80 --icmp', /ICMP has no ports/],
  ['UDP with TCP flags', '--from xwing --to deathstar:80 --udp --syn', /'--udp' cannot be used with option '--syn'/],
  [
    'a number that the capture does not have',
    `--pcap ${CAPTURE} --number 999`,
    /--number 999: .* holds packets 1 to 160/,
  ],
  ['a capture without number', `--pcap ${CAPTURE}`, /--pcap wants --number/],
  ['a number without capture', '--from xwing --to deathstar:80 --number 1', /--number and --alone want --pcap/],
  ['a bad address', '--from-world 1.2.3 --to deathstar:80', /want an IPv4 or IPv6 address/],
];

test.each(refused)('trace packet with %s exits 2', async (_name, args, message) => {
  const { code, stdout, stderr } = await trace(args);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, '']);
});
