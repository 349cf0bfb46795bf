const SECOND_NS = 1_000_000_000n;

/** What Cilium configures of Envoy's HTTP connection manager and route. */
export interface HttpConfig {
  /** Of requests that fail with 5xx or without an answer (`--http-retry-count`). */
  readonly retries: number;
  /** Of a request and its response, without a byte either way, until its head was read (`--http-stream-idle-timeout`). */
  readonly streamIdleTimeoutNs: bigint;
  /** The same once the head was read, unless it is gRPC (`--proxy-idle-timeout-seconds`). */
  readonly routeIdleTimeoutNs: bigint;
  /** From the end of a request to its response's (`--http-request-timeout`). */
  readonly requestTimeoutNs: bigint;
  /** Of the connection to the server (`--proxy-connect-timeout`). */
  readonly connectTimeoutNs: bigint;
  /** May HTTP/1 connections become WebSockets, where rules allow the request? Later releases of Cilium let them. */
  readonly websocket: boolean;
}

/** Cilium's defaults. Source: pkg/envoy/cell.go. */
export const HTTP_CONFIG: HttpConfig = {
  retries: 3,
  streamIdleTimeoutNs: 300n * SECOND_NS,
  routeIdleTimeoutNs: 60n * SECOND_NS,
  requestTimeoutNs: 3600n * SECOND_NS,
  connectTimeoutNs: 2n * SECOND_NS,
  websocket: false,
};
