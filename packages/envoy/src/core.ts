import { ActionList } from './action_list.ts';
import type { ConnectionSession } from './carrier.ts';
import { ProxyError } from './errors.ts';
import { HTTP_CONFIG, type HttpConfig } from './http_config.ts';
import { NetworkPolicyMap } from './network_policy.ts';
import type { DiscoveryRequest } from './npds.ts';
import type { PolicyAnswer, ProxyAction, ProxyConnection, Side } from './protocol.ts';
import type { UpstreamFailure } from './responses.ts';
import { type L7Parser, sessionFor } from './sessions.ts';

/** A recorded server answers a request once, so no request is tried again. */
const RECORDED_SERVER: HttpConfig = { ...HTTP_CONFIG, retries: 0 };

/**
 * The proxy without its thread: policies, connections, decisions. Same calls, same bytes, same seed: same actions. Servers
 * are recorded, or emulated: requests are not tried again, and nothing times out.
 *
 * A connection is forgotten once it has ended. What still comes for it, as segments do, is answered with no actions.
 */
export class ProxyCore {
  readonly #seed: number;
  readonly #policies = new NetworkPolicyMap();
  readonly #sessions = new Map<number, ConnectionSession>();
  /** Of the call under way: calls do not nest. */
  readonly #actions = new ActionList();

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
   * A redirected connection was established: may it stay?
   * @param parser what it speaks: http if absent
   * @returns nothing, or that it must be reset
   * @throws ProxyError EXISTS if the id belongs to an open connection
   */
  open(connection: ProxyConnection, nowNs: bigint, parser: L7Parser = 'http'): ProxyAction[] {
    const { id, endpointId } = connection;
    if (this.#sessions.has(id)) throw new ProxyError('EXISTS', 'the connection is open already', { id });
    const options = { seed: this.#seed, http: RECORDED_SERVER };
    const session = sessionFor(parser, connection, options, () => this.#policies.get(endpointId), this.#actions);
    this.#sessions.set(id, session);
    session.open(nowNs);
    return this.#after(id, session);
  }

  /** Bytes came from a side. */
  data(id: number, from: Side, bytes: Uint8Array, nowNs: bigint): ProxyAction[] {
    const session = this.#sessions.get(id);
    session?.data(from, bytes, nowNs);
    return this.#after(id, session);
  }

  /** A side closed its direction (FIN). */
  end(id: number, from: Side, nowNs: bigint): ProxyAction[] {
    const session = this.#sessions.get(id);
    session?.end(from, nowNs);
    return this.#after(id, session);
  }

  /** A side reset the connection, or, with a reason, the server could not be reached. */
  abort(id: number, from: Side, nowNs: bigint, reason?: UpstreamFailure): ProxyAction[] {
    const session = this.#sessions.get(id);
    session?.abort(from, nowNs, reason);
    return this.#after(id, session);
  }

  #after(id: number, session: ConnectionSession | undefined): ProxyAction[] {
    if (session?.closed) this.#sessions.delete(id);
    return this.#actions.take();
  }
}

export const answerOf = ({ errorDetail }: DiscoveryRequest): PolicyAnswer =>
  errorDetail === undefined ? { ack: true } : { ack: false, reason: errorDetail.message };
