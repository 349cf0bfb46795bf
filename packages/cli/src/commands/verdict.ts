import { type Agent, isEntity, NotEmulatedError } from '@ciliate/agent';
import { InputError, isIpv6 as isIpv6Text, type ObjectStore, type Pod } from '@ciliate/k8s';
import { type IpAddress, parseIp } from '@ciliate/packet';
import { judge, type Verdict, type VerdictQuestion } from '@ciliate/replay';
import { Command, InvalidArgumentError } from 'commander';
import { type DatapathOptions, withDatapathOptions } from '../datapath_options.ts';
import { endpointOf, senderOf } from '../endpoint.ts';
import { addressPair, type FamilyOptions, withFamilyOption } from '../family.ts';
import { frontendsOf } from '../frontend.ts';
import { type CommonOptions, loadStore, startAgent, toJson, withCommonOptions } from '../options.ts';
import { type Protocol, policyVerdict, renderPolicyVerdict, workload, workloadAt } from '../policy_verdict.ts';
import { explanationLines, remedyLines } from '../render_explanation.ts';
import { splitPort } from '../target.ts';

/** Protocols of which packets are made. */
type Played = 'TCP' | 'UDP';

interface VerdictOptions<P extends Protocol = Protocol> extends CommonOptions, FamilyOptions, DatapathOptions {
  from: string;
  to: string;
  port: { port: number; protocol: P };
  http?: { method: string; target: string };
}

/** The port may stand in `--to`. */
type AskedOptions = Omit<VerdictOptions, 'port'> & Partial<Pick<VerdictOptions, 'port'>>;

export function verdictCommand(): Command {
  return withFamilyOption(withDatapathOptions(withCommonOptions(new Command('verdict'))))
    .description('may this client do this? The answer, each step to it, and what the client sees; exit 0 either way')
    .requiredOption('--from <client>', 'a pod, [pod/][NAMESPACE/]NAME, or an address; by policy alone also an entity')
    .requiredOption(
      '--to <server>',
      'a pod or service, [pod/|svc/][NAMESPACE/]NAME, an address, or an entity; or NAME:PORT',
    )
    .option(
      '--port <port/protocol>',
      'as the client addresses it, for example 80/TCP; 8/ICMP or 128/ICMPv6: a type of ICMP',
      portAndProtocol,
    )
    .option('--http <request>', "a request on the connection, for example 'PUT /v1/exhaust-port'", httpRequest)
    .action(async (asked: AskedOptions) => {
      const store = loadStore(asked.file);
      const options = withPort(asked);
      const { from, to, port } = options;
      if (options.http !== undefined && port.protocol !== 'TCP') throw new InputError('--http wants a TCP port', {});
      const reason = isPlayable(options) ? await play(store, options) : whyUnplayable(options);
      if (reason === undefined) return;
      const verdict = await policyVerdict(store, { from, to, ...port, reason }, options);
      process.stdout.write(options.json ? `${toJson(verdict)}\n` : renderPolicyVerdict(verdict));
    });
}

/** Can packets of such a flow be made? */
const isPlayable = (options: VerdictOptions): options is VerdictOptions<Played> => whyUnplayable(options) === undefined;

function whyUnplayable({ from, to, port: { protocol } }: VerdictOptions): string | undefined {
  if (protocol !== 'TCP' && protocol !== 'UDP') return `${protocol} is not played yet`;
  const end = [from, to].find(isEntity);
  if (end !== undefined) return `${end} has no address to play packets with`;
  return undefined;
}

/** @returns what of the policies cannot be emulated; undefined if the verdict is printed */
async function play(store: ObjectStore, options: VerdictOptions<Played>): Promise<string | undefined> {
  const client = placeOf(store, '--from', options.from);
  if (!isAddress(client) && client.kind !== 'Pod')
    throw new InputError(`--from ${options.from}: a service sends nothing, name a pod`, {});
  const server = placeOf(store, '--to', options.to);
  if (isAddress(client) && isAddress(server)) return 'neither end is a pod or a service';
  if (server === client)
    throw new InputError(`--to ${options.to}: a pod that asks its own address sends nothing, ask for its service`, {});
  let agent: Agent;
  try {
    agent = await startAgent(store, options);
  } catch (error) {
    if (error instanceof NotEmulatedError) return error.message;
    throw error;
  }
  try {
    if (isAddress(client) && agent.isHostAddress(client))
      return 'packets that the node itself sends are not played yet';
    const verdict = await judge(agent, question(agent, client, server, options));
    process.stdout.write(options.json ? `${toJson(verdict)}\n` : renderVerdict(verdict));
    return undefined;
  } finally {
    await agent.stop();
  }
}

/** @throws InputError if no port is named, or two */
function withPort({ port, ...options }: AskedOptions): VerdictOptions {
  const [, place = '', protocol] = /^(.+:\d{1,5})(?:\/([A-Za-z]\w*))?$/.exec(options.to) ?? [];
  const [to, digits] = splitPort(place);
  if (digits === undefined) {
    if (port !== undefined) return { ...options, port };
    throw new InputError(`--port: say which, for example --port 80/TCP or --to ${options.to}:80`, {});
  }
  if (port !== undefined) throw new InputError(`--to ${options.to}: it names a port, and so does --port`, {});
  try {
    return { ...options, to, port: portAndProtocol(protocol === undefined ? digits : `${digits}/${protocol}`) };
  } catch (error) {
    throw new InputError(`--to ${options.to}: ${(error as Error).message}`, {});
  }
}

function portAndProtocol(text: string): VerdictOptions['port'] {
  const [, port, protocol = 'TCP'] = /^(\d{1,5})(?:\/(\w+))?$/.exec(text) ?? [];
  const known = PROTOCOLS.find((one) => one.toUpperCase() === protocol.toUpperCase());
  if (known === undefined) throw new InvalidArgumentError(`protocol ${protocol}: want ${PROTOCOLS.join(', ')}.`);
  const [least, most] = known === 'ICMP' || known === 'ICMPv6' ? [0, 255] : [1, 65_535];
  if (port === undefined || Number(port) < least || Number(port) > most)
    throw new InvalidArgumentError(
      'want a port from 1 to 65535 and a protocol, for example 80/TCP, or a type of ICMP, for example 8/ICMP.',
    );
  return { port: Number(port), protocol: known };
}

const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6'];

function httpRequest(text: string): NonNullable<VerdictOptions['http']> {
  const [method, target, ...rest] = text.trim().split(/\s+/);
  if (method === undefined || target === undefined || rest.length > 0 || !target.startsWith('/'))
    throw new InvalidArgumentError("want a method and a path, for example 'PUT /v1/exhaust-port'.");
  return { method, target };
}

/** A workload by its name or address, or an address outside of the cluster. */
type Place = ReturnType<typeof workload> | IpAddress;

const isAddress = (place: Place): place is IpAddress => typeof place !== 'object';

function placeOf(store: ObjectStore, option: string, text: string): Place {
  const address = parseIp(text);
  return address === undefined ? workload(store, option, text) : (workloadAt(store, address) ?? address);
}

function question(
  agent: Agent,
  client: Pod | IpAddress,
  server: Place,
  { to, port: { port, protocol }, http, ...family }: VerdictOptions<Played>,
): VerdictQuestion {
  const asked = http && { ...http, host: hostOf(server, to) };
  const base = {
    client: isAddress(client) ? client : senderOf(agent, client),
    transport: protocol,
    ...(asked && { http: asked }),
  };
  const serverAt = (addresses: readonly IpAddress[]) => {
    const named = parseIp(to);
    const candidates = named === undefined ? addresses : [named];
    return { address: addressPair(base.client, candidates, to, family).to, port };
  };
  if (isAddress(server)) {
    const place = serverAt([server]);
    return { ...base, server: place, answering: backendOf(agent, place, protocol) };
  }
  if (server.kind === 'Pod') {
    const pod = endpointOf(agent, server);
    const place = serverAt(server.status.podIPs.map((text) => parseIp(text)!));
    return { ...base, server: place, answering: pod && { pod, port } };
  }
  const entries = frontendsOf(agent, `--port ${port}/${protocol}`, server, port, protocol);
  const place = serverAt(entries.map(({ frontend }) => frontend.address));
  return { ...base, server: place, answering: backendOf(agent, place, protocol) };
}

/** Who of this node answers at an address of a service. */
function backendOf(
  agent: Agent,
  { address, port }: VerdictQuestion['server'],
  protocol: Played,
): VerdictQuestion['answering'] {
  const isThere = ({ frontend }: Agent['services'][number]): boolean =>
    frontend.address === address && frontend.port === port && frontend.protocol === protocol;
  for (const backend of agent.services.find(isThere)?.backends ?? []) {
    const pod = agent.endpointOfAddress(backend.address);
    if (pod !== undefined) return { pod, port: backend.port };
  }
  return undefined;
}

function hostOf(server: Place, to: string): string {
  if (isAddress(server)) return isIpv6Text(to) ? `[${to}]` : to;
  const { namespace, name } = server.metadata;
  return server.kind === 'Service' ? `${name}.${namespace}.svc.cluster.local` : name;
}

function renderVerdict(verdict: Verdict): string {
  const steps = verdict.steps.flatMap(({ at, text, explanation }) => [
    `  ${at}: ${text}`,
    ...(explanation === undefined ? [] : explanationLines(explanation).map((line) => `    ${line}`)),
  ]);
  const backend = verdict.backend === undefined ? '' : ` (${verdict.backend})`;
  return [
    `${verdict.source} -> ${verdict.destination}${backend}: ${verdict.asked}`,
    ...steps,
    `${verdict.outcome.toUpperCase()}: the client sees ${verdict.sees}`,
    `because: ${verdict.why}`,
    ...verdict.steps.flatMap(({ at, explanation, policy }) =>
      explanation === undefined || (policy !== undefined && policy.verdict !== 'deny')
        ? []
        : remedyLines(at, explanation),
    ),
    '',
  ].join('\n');
}
