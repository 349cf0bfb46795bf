import type { EntryParser, MapStateEntry } from '@ciliate/policy';

/**
 * Of the proxy's listeners, `cilium-http-ingress`, `cilium-dns-egress` and `cilium-proxylib-ingress`, for both directions;
 * Cilium takes free ones from 10000..20000.
 */
export const PROXY_PORT_HTTP = 10_000;
export const PROXY_PORT_DNS = 10_001;
export const PROXY_PORT_KAFKA = 10_002;

const BY_PARSER: Partial<Record<EntryParser, number>> = { dns: PROXY_PORT_DNS, kafka: PROXY_PORT_KAFKA };

/** Where the packets of an entry go, host order; 0: to no proxy. */
export const proxyPortOf = ({ redirect, parser }: Pick<MapStateEntry, 'redirect' | 'parser'>): number =>
  redirect ? ((parser && BY_PARSER[parser]) ?? PROXY_PORT_HTTP) : 0;
