import { type Agent, type Endpoint, isEntity, NotEmulatedError } from '@ciliate/agent';
import { InputError, type ObjectStore, type Pod } from '@ciliate/k8s';
import { parseIpv4 } from '@ciliate/packet';
import { judge, type Verdict, type VerdictQuestion } from '@ciliate/replay';
import { Command, InvalidArgumentError } from 'commander';
import { frontendOf } from '../frontend.ts';
import { type CommonOptions, loadStore, startAgent, toJson, withCommonOptions } from '../options.ts';
import { type Protocol, policyVerdict, renderPolicyVerdict, workload } from '../policy_verdict.ts';
import { explanationLines, remedyLines } from '../render_explanation.ts';

/** Protocols of which packets are made. */
type Played = 'TCP' | 'UDP';

interface VerdictOptions<P extends Protocol = Protocol> extends CommonOptions {
  from: string;
  to: string;
  port: { port: number; protocol: P };
  http?: { method: string; target: string };
}

export function verdictCommand(): Command {
  return withCommonOptions(new Command('verdict'))
    .description('may this client do this? The answer, each step to it, and what the client sees; exit 0 either way')
    .requiredOption('--from <client>', 'a pod, [pod/][NAMESPACE/]NAME; by policy alone also an address or an entity')
    .requiredOption('--to <server>', 'a pod or service, [pod/|svc/][NAMESPACE/]NAME, an IPv4 address, or an entity')
    .requiredOption(
      '--port <port/protocol>',
      'as the client addresses it, for example 80/TCP; 8/ICMP: a type of ICMP',
      portAndProtocol,
    )
    .option('--http <request>', "a request on the connection, for example 'PUT /v1/exhaust-port'", httpRequest)
    .action(async (options: VerdictOptions) => {
      const store = loadStore(options.file);
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
  if (protocol === 'SCTP' || protocol === 'ICMP') return `${protocol} is not played yet`;
  const end = [from, to].find(isEntity);
  if (end !== undefined) return `${end} has no address to play packets with`;
  return parseIpv4(from) === undefined ? undefined : 'packets that no pod sends are not played yet';
}

/** @returns what of the policies cannot be emulated; undefined if the verdict is printed */
async function play(store: ObjectStore, options: VerdictOptions<Played>): Promise<string | undefined> {
  const client = workload(store, '--from', options.from);
  if (client.kind !== 'Pod') throw new InputError(`--from ${options.from}: a service sends nothing, name a pod`, {});
  const server = serverOf(store, options.to);
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
    const verdict = await judge(agent, question(agent, client, server, options));
    process.stdout.write(options.json ? `${toJson(verdict)}\n` : renderVerdict(verdict));
    return undefined;
  } finally {
    await agent.stop();
  }
}

function portAndProtocol(text: string): VerdictOptions['port'] {
  const [, port, protocol = 'TCP'] = /^(\d{1,5})(?:\/(\w+))?$/.exec(text) ?? [];
  const upper = protocol.toUpperCase();
  if (!isProtocol(upper)) throw new InvalidArgumentError(`protocol ${protocol}: want ${PROTOCOLS.join(', ')}.`);
  const [least, most] = upper === 'ICMP' ? [0, 255] : [1, 65_535];
  if (port === undefined || Number(port) < least || Number(port) > most)
    throw new InvalidArgumentError(
      'want a port from 1 to 65535 and a protocol, for example 80/TCP, or a type of ICMP, for example 8/ICMP.',
    );
  return { port: Number(port), protocol: upper };
}

const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP', 'ICMP'];
const isProtocol = (word: string): word is Protocol => (PROTOCOLS as readonly string[]).includes(word);

function httpRequest(text: string): NonNullable<VerdictOptions['http']> {
  const [method, target, ...rest] = text.trim().split(/\s+/);
  if (method === undefined || target === undefined || rest.length > 0 || !target.startsWith('/'))
    throw new InvalidArgumentError("want a method and a path, for example 'PUT /v1/exhaust-port'.");
  return { method, target };
}

/** A workload by its name or address; a number is an address outside of the cluster. */
type Server = ReturnType<typeof workload> | number;

function serverOf(store: ObjectStore, to: string): Server {
  const address = parseIpv4(to);
  if (address === undefined) return workload(store, '--to', to);
  const service = store.list('Service').find(({ spec }) => spec.clusterIP === to);
  return service ?? store.list('Pod').find(({ status }) => status.podIP === to) ?? address;
}

function question(
  agent: Agent,
  client: Pod,
  server: Server,
  { to, port: { port, protocol }, http }: VerdictOptions<Played>,
): VerdictQuestion {
  const endpointOf = ({ metadata }: Pod): Endpoint => agent.endpointOfPod(`${metadata.namespace}/${metadata.name}`)!;
  const asked = http && { ...http, host: hostOf(server, to) };
  const base = { client: endpointOf(client), transport: protocol, ...(asked && { http: asked }) };
  if (typeof server === 'number') return { ...base, server: { address: server, port }, answering: undefined };
  if (server.kind === 'Pod') {
    const pod = endpointOf(server);
    return { ...base, server: { address: pod.address, port }, answering: { pod, port } };
  }
  const entry = frontendOf(agent, `--port ${port}/${protocol}`, server, port, protocol);
  const backend = entry.backends[0];
  const answering = backend && { pod: agent.endpointOfAddress(backend.address)!, port: backend.port };
  return { ...base, server: entry.frontend, answering };
}

function hostOf(server: Server, to: string): string {
  if (typeof server === 'number') return to;
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
