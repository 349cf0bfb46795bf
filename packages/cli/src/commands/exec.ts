import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { InputError } from '@ciliate/k8s';
import { ApiClient, type PodAddresses } from '@ciliate/live';
import { Command } from 'commander';
import { type SocketOptions, withSocket } from '../live/socket_option.ts';

export function execCommand(): Command {
  return withSocket(new Command('exec'))
    .description('runs a command as a pod of the cluster that `ciliate up` runs; its exit code is that of the command')
    .argument('<pod>', '[NAMESPACE/]NAME')
    .argument('<command...>', 'what to run, behind `--`')
    .addHelpText('after', HELP)
    .action(async (pod: string, command: string[], { socket }: SocketOptions) => {
      process.exitCode = await run(new ApiClient(socket), pod, command);
    });
}

const HELP = `
The command's traffic is carried through the emulator by way of SOCKS5; curl and others find that in ALL_PROXY. For tools that
want it told: $CILIATE_SOCKS is the address of the SOCKS5 server, $CILIATE_DNS and $CILIATE_DNS_PORT are that of native DNS.

  ciliate exec tiefighter -- curl -s -XPOST deathstar.default.svc.cluster.local/v1/request-landing
  ciliate exec bb1 -- sh -c 'timeout 5 nc -zv -X 5 -x $CILIATE_SOCKS mysqldb 3306'
`;

async function run(api: ApiClient, name: string, [program, ...args]: string[]): Promise<number> {
  const pod = find(await api.pods(), name);
  const { count } = await api.notes();
  const code = await spawned(program!, args, environmentOf(pod));
  const { notes } = await api.notes(count);
  for (const note of notes) if (note.pod === pod.pod) process.stderr.write(`ciliate: ${note.text}\n`);
  return code;
}

function find(pods: readonly PodAddresses[], name: string): PodAddresses {
  const full = name.includes('/') ? name : `default/${name}`;
  const found = pods.find(({ pod }) => pod === full);
  if (found !== undefined) return found;
  throw new InputError(`no pod ${full}; there are ${pods.map(({ pod }) => pod).join(', ')}`, { pod: full });
}

function environmentOf({ pod, address, socksPort, dnsPort }: PodAddresses): NodeJS.ProcessEnv {
  const proxy = `socks5h://127.0.0.1:${socksPort}`;
  const variables = ['ALL_PROXY', 'all_proxy', 'HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'];
  return {
    ...process.env,
    ...Object.fromEntries(variables.map((variable) => [variable, proxy])),
    NO_PROXY: '',
    no_proxy: '',
    CILIATE_POD: pod,
    CILIATE_POD_IP: address,
    CILIATE_SOCKS: `127.0.0.1:${socksPort}`,
    CILIATE_DNS: '127.0.0.1',
    CILIATE_DNS_PORT: `${dnsPort}`,
  };
}

/** @returns the exit code, 128 and the signal's number if one ended it. @throws InputError if there is no such program */
function spawned(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: 'inherit' });
    const ignore = (): void => {}; // Ctrl-C reaches the command too, and ends this when it has ended
    process.on('SIGINT', ignore);
    child.on('error', (cause: NodeJS.ErrnoException) => {
      reject(new InputError(`${program}: cannot be run (${cause.code})`, { program }, cause));
    });
    child.on('exit', (code, signal) => {
      process.off('SIGINT', ignore);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
