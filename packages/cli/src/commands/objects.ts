import { readFileSync } from 'node:fs';
import { loadObjects } from '@ciliate/k8s';
import { ApiClient } from '@ciliate/live';
import { Command } from 'commander';
import { type SocketOptions, withSocket } from '../live/socket_option.ts';

interface FileOptions extends SocketOptions {
  file: string[];
}

export function applyCommand(): Command {
  return withFiles(new Command('apply'))
    .description('brings objects into force in the cluster that `ciliate up` runs, as kubectl apply')
    .action(async ({ file, socket }: FileOptions) => {
      const api = new ApiClient(socket);
      for (const path of filesOf(file))
        for (const { what, ...ref } of await api.apply(readFileSync(path, 'utf8'), path))
          process.stdout.write(`${nameOf(ref)} ${WORDS[what] ?? what}\n`);
    });
}

export function deleteCommand(): Command {
  return withFiles(new Command('delete'))
    .description('takes objects out of the cluster that `ciliate up` runs, as kubectl delete')
    .action(async ({ file, socket }: FileOptions) => {
      const api = new ApiClient(socket);
      for (const path of filesOf(file))
        for (const ref of await api.delete(readFileSync(path, 'utf8'), path))
          process.stdout.write(`${nameOf(ref)} deleted\n`);
    });
}

export function observeCommand(): Command {
  return withSocket(new Command('observe'))
    .description('prints the flows of the cluster that `ciliate up` runs, as hubble observe')
    .option('--follow', 'go on with those that come')
    .action(async ({ socket, follow = false }: SocketOptions & { follow?: boolean }) => {
      for await (const text of new ApiClient(socket).flows(follow)) process.stdout.write(text);
    });
}

const WORDS: Readonly<Record<string, string>> = { added: 'created', modified: 'configured' };

const withFiles = (command: Command): Command =>
  withSocket(command).requiredOption(
    '-f, --file <path>',
    'a YAML file, or a folder of them; may be repeated',
    (path: string, before: string[] = []) => [...before, path],
  );

/** The files behind paths, each once, checked before any of them is sent. */
const filesOf = (paths: readonly string[]): string[] => [
  ...new Set(loadObjects(paths).map(({ position }) => position.file)),
];

const nameOf = ({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string =>
  `${kind.toLowerCase()}/${namespace === '' ? '' : `${namespace}/`}${name}`;
