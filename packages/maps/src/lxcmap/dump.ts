import { addressText, le16, le32, macText } from '../text.ts';
import { ENDPOINT_F_HOST, ENDPOINT_INFO, ENDPOINT_KEY } from './layout.ts';

const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;
const MAC_BYTES = 6;

/** An address as `cilium-dbg bpf endpoint list` writes it, with the key's number behind it: `10.0.0.11:0`. */
export function endpointKeyText(key: Uint8Array): string {
  const family = key[ENDPOINT_KEY.family]!;
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return 'nil';
  const address = addressText(key.subarray(ENDPOINT_KEY.ip4, ENDPOINT_KEY.ip4 + (family === FAMILY_IPV4 ? 4 : 16)));
  const cluster = le16(key, ENDPOINT_KEY.cluster_id);
  return `${address}${cluster === 0 ? '' : `@${cluster}`}:${key[ENDPOINT_KEY.key]}`;
}

/** `id=5     sec_id=4001  flags=0x0000 ifindex=10  mac=... nodemac=... parent_ifindex=0  `. Source: pkg/maps/lxcmap. */
export function endpointInfoText(value: Uint8Array): string {
  const flags = le32(value, ENDPOINT_INFO.flags);
  if ((flags & ENDPOINT_F_HOST) !== 0) return '(localhost)';
  const mac = (at: number): string => macText(value.subarray(at, at + MAC_BYTES));
  return [
    `id=${`${le16(value, ENDPOINT_INFO.lxc_id)}`.padEnd(5)}`,
    `sec_id=${`${le32(value, ENDPOINT_INFO.sec_id)}`.padEnd(5)}`,
    `flags=0x${flags.toString(16).toUpperCase().padStart(4, '0')}`,
    `ifindex=${`${le32(value, ENDPOINT_INFO.ifindex)}`.padEnd(3)}`,
    `mac=${mac(ENDPOINT_INFO.mac)}`,
    `nodemac=${mac(ENDPOINT_INFO.node_mac)}`,
    `parent_ifindex=${`${le32(value, ENDPOINT_INFO.parent_ifindex)}`.padEnd(3)}`,
  ].join(' ');
}
