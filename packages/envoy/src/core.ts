import { ProxyError } from './errors.ts';
import { NetworkPolicyMap } from './network_policy.ts';
import type { DiscoveryRequest } from './npds.ts';
import type { PolicyAnswer, ProxyAction, ProxyConnection, Side } from './protocol.ts';
import { Session } from './session.ts';

/**
 * The proxy without its thread: policies, connections, decisions. Same calls, same bytes, same seed: same actions.
 *
 * A connection is forgotten once it has ended. What still comes for it, as segments do, is answered with no actions.
 */
export class ProxyCore {
  readonly #seed: number;
  readonly #policies = new NetworkPolicyMap();
  readonly #sessions = new Map<number, Session>();

  constructor({ seed }: { seed: number }) {
    this.#seed = seed;
  }

  /** @param response a DiscoveryResponse in wire form: all policies that are in force from now on */
  discovery(response: Uint8Array): DiscoveryRequest {
    return this.#policies.apply(response);
  }

  /** As `discovery`, with the answer in short. After a NACK the last accepted policies stay in force. */
  applyPolicy(response: Uint8Array): PolicyAnswer {
    return answerOf(this.discovery(response));
  }

  /**
   * A redirected connection was established: may it stay? Its time is not used yet: of connections nothing is logged.
   * @returns nothing, or that it must be reset
   * @throws ProxyError EXISTS if the id belongs to an open connection
   */
  open(connection: ProxyConnection, _nowNs: bigint): ProxyAction[] {
    const { id, endpointId } = connection;
    if (this.#sessions.has(id)) throw new ProxyError('EXISTS', 'the connection is open already', { id });
    const session = new Session(connection, this.#seed, () => this.#policies.get(endpointId));
    this.#sessions.set(id, session);
    return this.#after(id, session.open());
  }

  /** Bytes came from a side. */
  data(id: number, from: Side, bytes: Uint8Array, nowNs: bigint): ProxyAction[] {
    return this.#after(id, this.#sessions.get(id)?.data(from, bytes, nowNs));
  }

  /** A side closed its direction (FIN). */
  end(id: number, from: Side, nowNs: bigint): ProxyAction[] {
    return this.#after(id, this.#sessions.get(id)?.end(from, nowNs));
  }

  /** A side reset the connection, or could not be reached. */
  abort(id: number, from: Side, nowNs: bigint): ProxyAction[] {
    return this.#after(id, this.#sessions.get(id)?.abort(from, nowNs));
  }

  #after(id: number, actions: ProxyAction[] = []): ProxyAction[] {
    if (this.#sessions.get(id)?.closed) this.#sessions.delete(id);
    return actions;
  }
}

export const answerOf = ({ errorDetail }: DiscoveryRequest): PolicyAnswer =>
  errorDetail === undefined ? { ack: true } : { ack: false, reason: errorDetail.message };
