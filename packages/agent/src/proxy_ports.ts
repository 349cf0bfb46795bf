import type { MapStateEntry } from '@ciliate/policy';

/** Of the proxy's listeners, `cilium-http-ingress` and `cilium-dns-egress`; Cilium takes free ones from 10000..20000. */
export const PROXY_PORT_HTTP = 10_000;
export const PROXY_PORT_DNS = 10_001;

/** Where the packets of an entry go, host order; 0: to no proxy. */
export const proxyPortOf = ({ redirect, parser }: Pick<MapStateEntry, 'redirect' | 'parser'>): number =>
  !redirect ? 0 : parser === 'dns' ? PROXY_PORT_DNS : PROXY_PORT_HTTP;
