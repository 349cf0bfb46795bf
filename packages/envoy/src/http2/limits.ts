import type { ClientSessionOptions, ServerSessionOptions } from 'node:http2';
import { MAX_HEAD_BYTES } from '../http1/head.ts';
import { MAX_HEADERS } from '../http1/header_lines.ts';

const HEADERS = { maxHeaderListSize: MAX_HEAD_BYTES } as const;

/**
 * What one client may make the proxy hold: streams times their windows (64 KiB, the protocol's own). Cilium leaves Envoy's
 * defaults (2^31 - 1 streams, 256 MiB windows); these are what Envoy advises where clients are not trusted
 * (docs/configuration/best_practices/edge). Headers as Envoy's defaults: a stream with more is reset with ENHANCE_YOUR_CALM.
 * The codec ends the connection for streams that were refused too often, frames that say nothing, acknowledgements that the
 * client does not read, CONTINUATION frames without end.
 */
export const SERVER_OPTIONS: ServerSessionOptions = {
  settings: { ...HEADERS, maxConcurrentStreams: 100 },
  maxHeaderListPairs: MAX_HEADERS,
  maxSessionInvalidFrames: 100,
  strictSingleValueFields: false, // what a server sends twice is passed on twice
};

/** The last one is missing from the types of `connect`. */
export const CLIENT_OPTIONS: ClientSessionOptions & Pick<ServerSessionOptions, 'strictSingleValueFields'> = {
  settings: { ...HEADERS, enablePush: false },
  maxHeaderListPairs: MAX_HEADERS,
  strictSingleValueFields: false,
};

/** A stream that its client resets so soon after its start is premature. Envoy's premature_reset_min_stream_lifetime_seconds. */
const PREMATURE_NS = 1_000_000_000n;
/** Envoy's premature_reset_total_stream_count. */
const MAX_STREAMS_HALF_PREMATURE = 500;

/** Counts streams that were opened to be reset (CVE-2023-44487). Source: Envoy's ConnectionManagerImpl. */
export class PrematureResets {
  #closed = 0;
  #premature = 0;

  /** @returns whether the connection must end: half of its streams were, and of so many that the rest does not count */
  count(lifetimeNs: bigint, reset: boolean): boolean {
    this.#closed++;
    if (!reset || lifetimeNs >= PREMATURE_NS) return false;
    this.#premature++;
    return this.#premature * 2 >= Math.max(this.#closed, MAX_STREAMS_HALF_PREMATURE);
  }
}
