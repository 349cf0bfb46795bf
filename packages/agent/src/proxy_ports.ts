import type { EntryParser, MapStateEntry } from '@ciliate/policy';

/**
 * Of the proxy's listeners, `cilium-http-ingress`, `cilium-dns-egress` and two of what Cilium has as one, `cilium-proxylib-ingress`:
 * for Kafka, and for TLS that nobody looks into; each for both directions. Cilium takes free ports from 10000..20000.
 */
export const PROXY_PORT_HTTP = 10_000;
export const PROXY_PORT_DNS = 10_001;
export const PROXY_PORT_KAFKA = 10_002;
export const PROXY_PORT_TLS = 10_003;

const BY_PARSER: Partial<Record<EntryParser, number>> = {
  dns: PROXY_PORT_DNS,
  kafka: PROXY_PORT_KAFKA,
  tls: PROXY_PORT_TLS,
};

/** Where the packets of an entry go, host order; 0: to no proxy. */
export const proxyPortOf = ({ redirect, parser }: Pick<MapStateEntry, 'redirect' | 'parser'>): number =>
  redirect ? ((parser && BY_PARSER[parser]) ?? PROXY_PORT_HTTP) : 0;
