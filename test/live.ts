import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { decodeObjects, loadObjects, ObjectStore } from '@ciliate/k8s';
import { LiveCluster, type LiveClusterOptions } from '@ciliate/live';
import { pino } from 'pino';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Can the program be run here? */
export function isInstalled(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

/** A live cluster of the objects in these files and folders, and of this YAML. */
export function startLive(
  paths: readonly string[],
  yaml = '',
  options: Partial<LiveClusterOptions> = {},
): Promise<LiveCluster> {
  const store = new ObjectStore();
  for (const object of paths.length === 0 ? [] : loadObjects(paths.map((path) => `${ROOT}${path}`)))
    store.apply(object);
  for (const object of yaml === '' ? [] : decodeObjects(yaml, 'objects.yaml')) store.apply(object);
  return LiveCluster.start({ store, seed: 1, log: pino({ level: 'silent' }), ...options });
}

export const applyFile = (cluster: LiveCluster, path: string): Promise<unknown> =>
  cluster.apply(loadObjects([`${ROOT}${path}`]));
export const deleteFile = (cluster: LiveCluster, path: string): Promise<unknown> =>
  cluster.delete(loadObjects([`${ROOT}${path}`]).map(({ kind, metadata }) => ({ kind, ...metadata })));

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

function run(program: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(program, args, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

/** `curl -s` as a pod. */
export const curl = (cluster: LiveCluster, pod: string, ...args: string[]): Promise<Ran> =>
  run('curl', ['-s', '-x', `socks5h://127.0.0.1:${cluster.pod(pod)!.socksPort}`, ...args]);

/** `nc -zv` as a pod; 124: it had no answer in a second. */
export const nc = (cluster: LiveCluster, pod: string, host: string, port: number): Promise<Ran> =>
  run('timeout', ['1', 'nc', '-zv', '-X', '5', '-x', `127.0.0.1:${cluster.pod(pod)!.socksPort}`, host, `${port}`]);
