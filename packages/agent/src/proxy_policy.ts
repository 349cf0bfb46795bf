import { isDeepStrictEqual } from 'node:util';
import {
  encodeDiscoveryResponse,
  encodeSecretsResponse,
  type NetworkPolicy,
  type PolicyAnswer,
  type Secret,
} from '@ciliate/envoy';
import type { Logger } from 'pino';
import type { Endpoint } from './endpoint.ts';
import { AgentError } from './errors.ts';

/** A proxy, as far as policy goes. @param response a DiscoveryResponse in wire form */
export interface PolicyReceiver {
  applyPolicy(response: Uint8Array): Promise<PolicyAnswer>;
  applySecrets(response: Uint8Array): Promise<PolicyAnswer>;
}

/** What the proxies have acknowledged about each endpoint. */
export class ProxyPolicy {
  readonly #proxies: readonly PolicyReceiver[];
  readonly #log: Logger;
  /** By endpoint id. */
  #inForce: ReadonlyMap<number, NetworkPolicy> = new Map();
  #version = 0;
  #secrets: readonly Secret[] = [];

  constructor(proxies: readonly PolicyReceiver[], log: Logger) {
    this.#proxies = proxies;
    this.#log = log;
  }

  /**
   * Resolves when the proxy has acknowledged these policies beside those it has of other endpoints; undefined: none any
   * more. It is not asked if nothing changes by them.
   * @throws AgentError BAD_INPUT if it refuses; then it keeps all that it has
   */
  async apply(changes: ReadonlyMap<Endpoint, NetworkPolicy | undefined>): Promise<void> {
    const next = new Map(this.#inForce);
    let changed = false;
    for (const [{ id }, policy] of changes) {
      if (isDeepStrictEqual(next.get(id), policy)) continue;
      changed = true;
      if (policy === undefined) next.delete(id);
      else next.set(id, policy);
    }
    if (!changed) return;
    const version = ++this.#version;
    const policies = [...next.values()].sort((a, b) => a.endpointId - b.endpointId);
    const response = encodeDiscoveryResponse(`${version}`, policies);
    await this.#tell('policy', version, (proxy) => proxy.applyPolicy(response));
    this.#inForce = next;
    this.#log.debug({ version, policies: policies.length }, 'proxy acknowledged');
  }

  /** The proxies have these secrets and no others when it resolves. @throws AgentError BAD_INPUT as `apply` */
  async applySecrets(secrets: readonly Secret[]): Promise<void> {
    if (isDeepStrictEqual(secrets, this.#secrets)) return;
    const version = ++this.#version;
    const response = encodeSecretsResponse(`${version}`, secrets);
    await this.#tell('secrets', version, (proxy) => proxy.applySecrets(response));
    this.#secrets = secrets;
  }

  async #tell(what: string, version: number, tell: (proxy: PolicyReceiver) => Promise<PolicyAnswer>): Promise<void> {
    for (const proxy of this.#proxies) {
      const answer = await tell(proxy);
      if (answer.ack) continue;
      const why = `the proxy refused the ${what}, the last one stays: ${answer.reason}`;
      throw new AgentError('BAD_INPUT', why, { version });
    }
  }
}
