import { addressBeside, type Endpoint } from '@ciliate/agent';
import { RCODE, readAnswer } from '@ciliate/envoy';
import { type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import { encode, RECURSION_DESIRED } from 'dns-packet';
import type { Network } from '../net/network.ts';
import type { SocketAddress } from '../net/socket_address.ts';

/** What a pod's resolver found. */
export type Resolved =
  | { readonly kind: 'address'; readonly address: IpAddress }
  /** `no answer`: nobody answered in time. */
  | {
      readonly kind: 'failed';
      readonly why: 'NXDOMAIN' | 'REFUSED' | 'SERVFAIL' | 'no address' | 'no answer' | 'no DNS server';
    };

/** As glibc does by default, and as Kubernetes writes a pod's resolv.conf. */
const TIMEOUT_MS = 5000;
const ATTEMPTS = 2;
const NDOTS = 5;

/** The names that are tried for one, in order, as a pod's resolv.conf has it. */
export function searchList(name: string, namespace: string): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const searched = [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local'].map(
    (one) => `${name}.${one}`,
  );
  return name.split('.').length > NDOTS ? [name, ...searched] : [...searched, name];
}

/** Asks the cluster's DNS on behalf of a pod, by datagrams that the datapath carries. */
export class Resolver {
  readonly #network: Network;
  readonly #server: (pod: Endpoint) => SocketAddress | undefined;
  #id = 0;

  /** @param server where a pod asks, in a family that it has; undefined: nowhere */
  constructor(network: Network, server: (pod: Endpoint) => SocketAddress | undefined) {
    this.#network = network;
    this.#server = server;
  }

  async resolve(pod: Endpoint, name: string): Promise<Resolved> {
    const address = parseIp(name);
    if (address !== undefined) return { kind: 'address', address };
    let failed: Resolved = { kind: 'failed', why: 'NXDOMAIN' };
    for (const tried of searchList(name, pod.namespace)) {
      const found = await this.#find(pod, tried);
      if (found.kind === 'address' || found.why === 'no answer' || found.why === 'no DNS server') return found;
      if (found.why !== 'NXDOMAIN') failed = found;
    }
    return failed;
  }

  /** An address of a family that the pod has, the family of its first address first. */
  async #find(pod: Endpoint, name: string): Promise<Resolved> {
    let found: Resolved | undefined;
    for (const own of pod.addresses) {
      found = await this.#lookup(pod, name, isIpv6(own) ? 'AAAA' : 'A');
      if (found.kind === 'address' || found.why !== 'no address') break;
    }
    return found!;
  }

  async #lookup(pod: Endpoint, name: string, type: 'A' | 'AAAA'): Promise<Resolved> {
    const server = this.#server(pod);
    if (server === undefined) return { kind: 'failed', why: 'no DNS server' };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const bytes = await this.#ask(pod, server, { name, type });
      const answer = bytes && readAnswer(bytes);
      if (answer === undefined) continue;
      const address = answer.ips.map(parseIp).find((one) => one !== undefined);
      if (address !== undefined) return { kind: 'address', address };
      return { kind: 'failed', why: whyOf(answer.rcode) };
    }
    return { kind: 'failed', why: 'no answer' };
  }

  #ask(
    pod: Endpoint,
    server: SocketAddress,
    question: { name: string; type: 'A' | 'AAAA' },
  ): Promise<Uint8Array | undefined> {
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    const query = encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [question] });
    return new Promise((resolve) => {
      const stop = this.#network.stackOf(pod).ask(addressBeside(pod, server.address)!, server, query, (answer) => {
        if (answer.length < 2 || ((answer[0]! << 8) | answer[1]!) !== id) return;
        finish(answer);
      });
      const timer = setTimeout(() => finish(undefined), TIMEOUT_MS);
      const finish = (answer: Uint8Array | undefined): void => {
        clearTimeout(timer);
        stop();
        resolve(answer);
      };
    });
  }
}

function whyOf(rcode: number): Extract<Resolved, { kind: 'failed' }>['why'] {
  if (rcode === RCODE.nameError) return 'NXDOMAIN';
  if (rcode === RCODE.refused) return 'REFUSED';
  return rcode === RCODE.noError ? 'no address' : 'SERVFAIL';
}
