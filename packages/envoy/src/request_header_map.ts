import type { Headers } from './http1/message.ts';

/** A request as policy sees it, after the path was normalised. */
export interface PolicyRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly authority: string;
  /** None if absent. */
  readonly headers?: Headers;
}

/** Envoy keeps one line of these: what is added is joined to it. Source: Envoy, header_map.h (inline request headers). */
const INLINE = new Set([
  ...['connection', 'content-length', 'content-type', 'expect', 'forwarded', 'grpc-timeout', 'keep-alive'],
  ...['proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'user-agent', 'via', 'x-client-trace-id'],
  ...['x-forwarded-client-cert', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-proto'],
  ...['x-request-id', 'x-envoy-attempt-count', 'x-envoy-decorator-operation', 'x-envoy-internal'],
  ...['x-envoy-external-address', 'x-envoy-max-retries', 'x-envoy-retry-on', 'x-envoy-retry-grpc-on'],
]);
const REQUIRED = [':method', ':path', ':authority'] as const;
type Pseudo = (typeof REQUIRED)[number];

/**
 * The headers of one request, which rules may change. Method, path and authority have the names `:method`, `:path` and
 * `:authority`, the last one also `host`. Names are in lower case.
 */
export class RequestHeaderMap {
  readonly #pseudo: Partial<Record<Pseudo, string>>;
  #lines: readonly (readonly [name: string, value: string])[];

  constructor({ method, path, authority, headers = [] }: PolicyRequest) {
    this.#pseudo = { ':method': method, ':path': path, ':authority': authority };
    this.#lines = headers;
  }

  /** All lines but the first three, in their order. */
  get lines(): Headers {
    return this.#lines;
  }

  /** All values of a header, joined with commas; undefined if it is not there. */
  get(name: string): string | undefined {
    const pseudo = pseudoName(name);
    if (pseudo !== undefined) return this.#pseudo[pseudo];
    let joined: string | undefined;
    for (const [key, value] of this.#lines) {
      if (key === name) joined = joined === undefined ? value : `${joined},${value}`;
    }
    return joined;
  }

  /** One more line, or, of a header that has but one, one more value in it. */
  add(name: string, value: string): void {
    const old = INLINE.has(name) || pseudoName(name) !== undefined ? this.get(name) : undefined;
    if (old !== undefined) this.set(name, `${old},${value}`);
    else if (pseudoName(name) !== undefined) this.set(name, value);
    else this.#lines = [...this.#lines, [name, value]];
  }

  /** This value and no other. */
  set(name: string, value: string): void {
    const pseudo = pseudoName(name);
    if (pseudo !== undefined) this.#pseudo[pseudo] = value;
    else this.#lines = [...this.#lines.filter(([key]) => key !== name), [name, value]];
  }

  remove(name: string): void {
    const pseudo = pseudoName(name);
    if (pseudo !== undefined) delete this.#pseudo[pseudo];
    else this.#lines = this.#lines.filter(([key]) => key !== name);
  }

  /** The first of the three that rules have removed: no request can be sent without it. */
  get missing(): string | undefined {
    return REQUIRED.find((name) => this.#pseudo[name] === undefined);
  }
}

function pseudoName(name: string): Pseudo | undefined {
  switch (name) {
    case ':method':
    case ':path':
    case ':authority':
      return name;
    case 'host':
      return ':authority';
    default:
      return undefined;
  }
}
