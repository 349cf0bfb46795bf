import type { MapStateEntry } from '@ciliate/policy';

/**
 * Of the proxy's listeners `cilium-http-...`, `cilium-dns-egress` and `cilium-proxylib-...`, each for both directions; Cilium
 * takes free ones from 10000..20000.
 */
export const PROXY_PORT_HTTP = 10_000;
export const PROXY_PORT_DNS = 10_001;
export const PROXY_PORT_TLS = 10_003;

/** Where the packets of an entry go, host order; 0: to no proxy. */
export const proxyPortOf = ({ redirect, parser }: Pick<MapStateEntry, 'redirect' | 'parser'>): number =>
  redirect ? (PORTS[parser ?? 'http'] ?? PROXY_PORT_HTTP) : 0;

const PORTS: Partial<Record<NonNullable<MapStateEntry['parser']>, number>> = {
  dns: PROXY_PORT_DNS,
  tls: PROXY_PORT_TLS,
};
