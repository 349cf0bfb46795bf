import { InputError, type ObjectStore, type Pod } from '@ciliate/k8s';

/** What serves a port of a pod. */
export type ServerKind = 'http-echo' | 'https-echo' | 'deathstar' | 'tcp-echo' | 'dns' | 'command';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface ServerDeclaration {
  readonly kind: ServerKind;
  readonly port: number;
}

/** On a pod: `deathstar`, `http-echo:8080, tcp-echo:3306`, ... */
export const SERVER_ANNOTATION = 'ciliate.io/server';
/** On a pod with the server `command`: what runs, by `sh -c`, and listens on 127.0.0.1:$PORT. */
export const COMMAND_ANNOTATION = 'ciliate.io/command';
/** On a pod with the server `https-echo`: the Secret of its namespace with its certificate, `tls.crt` and `tls.key`. */
export const TLS_SECRET_ANNOTATION = 'ciliate.io/tls-secret';

const KINDS: readonly ServerKind[] = ['http-echo', 'https-echo', 'deathstar', 'tcp-echo', 'dns', 'command'];
const DNS_PORT = 53;

/**
 * The servers that a pod declares. Without a port a server has that of the pod's first TCP container port. A pod that is
 * labelled as the cluster's DNS (`k8s-app: kube-dns`) is that, if it declares nothing else.
 * @throws InputError that names the pod, the annotation and what is wrong
 */
export function serversOf({ metadata: { namespace, name, annotations, labels }, spec }: Pod): ServerDeclaration[] {
  const text = annotations[SERVER_ANNOTATION];
  if (text === undefined) return labels['k8s-app'] === 'kube-dns' ? [{ kind: 'dns', port: DNS_PORT }] : [];
  const bad = (problem: string): InputError =>
    new InputError(`Pod ${namespace}/${name}: annotation ${SERVER_ANNOTATION}: ${problem}`, { namespace, name });
  const first = spec.containers.flatMap(({ ports }) => ports).find(({ protocol }) => protocol === 'TCP')?.containerPort;
  const servers = text.split(',').map((part): ServerDeclaration => {
    const [word = '', portText, ...rest] = part.trim().split(':');
    const kind = KINDS.find((one) => one === word);
    if (kind === undefined || rest.length > 0)
      throw bad(
        `${JSON.stringify(part.trim())}: want ${KINDS.join(', ')}, or one of them with a port as in http-echo:80`,
      );
    const port = portText === undefined ? (kind === 'dns' ? DNS_PORT : first) : Number(portText);
    if (port === undefined) throw bad(`${kind} needs a port: the pod has no TCP container port`);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw bad(`${portText} is no port`);
    return { kind, port };
  });
  if (new Set(servers.map(({ port }) => port)).size < servers.length) throw bad('two servers on one port');
  if (servers.some(({ kind }) => kind === 'command') && annotations[COMMAND_ANNOTATION] === undefined)
    throw bad(`command wants the annotation ${COMMAND_ANNOTATION}`);
  if (servers.some(({ kind }) => kind === 'https-echo') && annotations[TLS_SECRET_ANNOTATION] === undefined)
    throw bad(`https-echo wants the annotation ${TLS_SECRET_ANNOTATION}`);
  return servers;
}

/**
 * The certificate that a pod's server shows.
 * @throws InputError that names the pod and the secret that is missing, or what it lacks
 */
export function certificateOf({ metadata: { namespace, name, annotations } }: Pod, store: ObjectStore): Certificate {
  const secret = annotations[TLS_SECRET_ANNOTATION] ?? '';
  const data = store.get({ kind: 'Secret', namespace, name: secret })?.data;
  const { 'tls.crt': cert, 'tls.key': key } = data ?? {};
  if (cert && key) return { cert, key };
  const problem =
    data === undefined
      ? `there is no Secret ${namespace}/${secret}`
      : `Secret ${namespace}/${secret} has no ${cert ? 'tls.key' : 'tls.crt'}`;
  throw new InputError(`Pod ${namespace}/${name}: annotation ${TLS_SECRET_ANNOTATION}: ${problem}`, {
    namespace,
    name,
  });
}
