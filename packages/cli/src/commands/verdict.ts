import type { Agent, Endpoint } from '@ciliate/agent';
import { findWorkload, InputError, type ObjectStore, type Pod } from '@ciliate/k8s';
import { parseIpv4 } from '@ciliate/packet';
import { judge, type Verdict, type VerdictQuestion } from '@ciliate/replay';
import { Command, InvalidArgumentError } from 'commander';
import { frontendOf } from '../frontend.ts';
import { type CommonOptions, loadStore, startAgent, toJson, withCommonOptions } from '../options.ts';
import { explanationLines, remedyLines } from '../render_explanation.ts';

interface VerdictOptions extends CommonOptions {
  from: string;
  to: string;
  port: { port: number; protocol: 'TCP' | 'UDP' };
  http?: { method: string; target: string };
}

export function verdictCommand(): Command {
  return withCommonOptions(new Command('verdict'))
    .description('may this client do this? The answer, each step to it, and what the client sees; exit 0 either way')
    .requiredOption('--from <pod>', 'the client: [pod/][NAMESPACE/]NAME')
    .requiredOption('--to <server>', 'a pod or service, [pod/|svc/][NAMESPACE/]NAME, or an IPv4 address')
    .requiredOption('--port <port/protocol>', 'as the client addresses it, for example 80/TCP', portAndProtocol)
    .option('--http <request>', "a request on the connection, for example 'PUT /v1/exhaust-port'", httpRequest)
    .action(async (options: VerdictOptions) => {
      const store = loadStore(options.file);
      const client = findWorkload(store, options.from);
      if (client.kind !== 'Pod')
        throw new InputError(`--from ${options.from}: a service sends nothing, name a pod`, {});
      const server = serverOf(store, options.to);
      if (server === client)
        throw new InputError(
          `--to ${options.to}: a pod that asks its own address sends nothing, ask for its service`,
          {},
        );
      if (options.http !== undefined && options.port.protocol !== 'TCP')
        throw new InputError('--http wants a TCP port', {});
      const agent = await startAgent(store, options);
      try {
        const verdict = await judge(agent, question(agent, client, server, options));
        process.stdout.write(options.json ? `${toJson(verdict)}\n` : renderVerdict(verdict));
      } finally {
        await agent.stop();
      }
    });
}

function portAndProtocol(text: string): VerdictOptions['port'] {
  const [, port, protocol = 'TCP'] = /^(\d{1,5})(?:\/(\w+))?$/.exec(text) ?? [];
  const upper = protocol.toUpperCase();
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new InvalidArgumentError('want a port from 1 to 65535 and TCP or UDP, for example 80/TCP.');
  if (upper !== 'TCP' && upper !== 'UDP')
    throw new InvalidArgumentError(`protocol ${protocol}: want TCP or UDP; others are not modelled yet.`);
  return { port: Number(port), protocol: upper };
}

function httpRequest(text: string): NonNullable<VerdictOptions['http']> {
  const [method, target, ...rest] = text.trim().split(/\s+/);
  if (method === undefined || target === undefined || rest.length > 0 || !target.startsWith('/'))
    throw new InvalidArgumentError("want a method and a path, for example 'PUT /v1/exhaust-port'.");
  return { method, target };
}

/** A workload by its name or address; a number is an address outside of the cluster. */
type Server = ReturnType<typeof findWorkload> | number;

function serverOf(store: ObjectStore, to: string): Server {
  const address = parseIpv4(to);
  if (address === undefined) return findWorkload(store, to);
  const service = store.list('Service').find(({ spec }) => spec.clusterIP === to);
  return service ?? store.list('Pod').find(({ status }) => status.podIP === to) ?? address;
}

function question(
  agent: Agent,
  client: Pod,
  server: Server,
  { to, port: { port, protocol }, http }: VerdictOptions,
): VerdictQuestion {
  const endpointOf = ({ metadata }: Pod): Endpoint => agent.endpointOfPod(`${metadata.namespace}/${metadata.name}`)!;
  const asked = http && { ...http, host: hostOf(server, to) };
  const base = { client: endpointOf(client), transport: protocol, ...(asked && { http: asked }) };
  if (typeof server === 'number') return { ...base, server: { address: server, port }, answering: undefined };
  const { namespace, name } = server.metadata;
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
    ...verdict.steps.flatMap(({ at, explanation }) => (explanation === undefined ? [] : remedyLines(at, explanation))),
    '',
  ].join('\n');
}
