import { addressText, le16, le32 } from '../text.ts';
import { IPCACHE_KEY, IPCACHE_STATIC_PREFIX_BITS, REMOTE_ENDPOINT_FLAG, REMOTE_ENDPOINT_INFO } from './layout.ts';

const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** A prefix as `cilium-dbg bpf ipcache list` writes it: `10.0.0.11/32`, of another cluster with `@ID`. */
export function ipcacheKeyText(key: Uint8Array): string {
  const family = key[IPCACHE_KEY.family]!;
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return '<unknown>';
  const bytes = family === FAMILY_IPV4 ? 4 : 16;
  const address = addressText(key.subarray(IPCACHE_KEY.ip4, IPCACHE_KEY.ip4 + bytes));
  const prefix = `${address}/${le32(key, IPCACHE_KEY.prefixlen) - IPCACHE_STATIC_PREFIX_BITS}`;
  const cluster = le16(key, IPCACHE_KEY.cluster_id);
  return cluster === 0 ? prefix : `${prefix}@${cluster}`;
}

/** `identity=4001 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>`. Source: pkg/maps/ipcache. */
export function ipcacheValueText(value: Uint8Array): string {
  const flags = value[REMOTE_ENDPOINT_INFO.flags]!;
  const names = [
    [REMOTE_ENDPOINT_FLAG.flag_skip_tunnel, 'skiptunnel'],
    [REMOTE_ENDPOINT_FLAG.flag_has_tunnel_ep, 'hastunnel'],
    [REMOTE_ENDPOINT_FLAG.flag_ipv6_tunnel_ep, 'ipv6tunnel'],
  ] as const;
  const set = names.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  const isV6 = (flags & REMOTE_ENDPOINT_FLAG.flag_ipv6_tunnel_ep) !== 0;
  const at = REMOTE_ENDPOINT_INFO.tunnel_endpoint;
  return [
    `identity=${le32(value, REMOTE_ENDPOINT_INFO.sec_identity)}`,
    `encryptkey=${value[REMOTE_ENDPOINT_INFO.key]}`,
    `tunnelendpoint=${addressText(value.subarray(at, at + (isV6 ? 16 : 4)))}`,
    `flags=${set.join(',') || '<none>'}`,
  ].join(' ');
}
