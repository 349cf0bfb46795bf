import { address6 } from '../address6.ts';
import { check, MapError } from '../errors.ts';
import { LpmTrie } from '../lpm_trie.ts';
import { type Address, type Memory, NULL } from '../memory.ts';
import { openPin, pinOrDestroy } from '../pinned_map.ts';
import { controlScratch } from '../scratch.ts';
import {
  encryptKey,
  IPCACHE_KEY,
  IPCACHE_STATIC_PREFIX_BITS,
  REMOTE_ENDPOINT_FLAG,
  REMOTE_ENDPOINT_INFO,
  remoteEndpointFlags,
  secIdentity,
  setEncryptKey,
  setIpcacheKey4,
  setIpcacheKey6,
  setRemoteEndpointFlags,
  setSecIdentity,
  setTunnelEndpoint,
  tunnelEndpoint,
} from './layout.ts';

export const IPCACHE_MAP_NAME = 'cilium_ipcache_v2';
const MAX_ENTRIES = 512_000;
const FAMILY_IPV6 = 2;

export interface RemoteEndpointInfo {
  identity: number;
  /** The node behind which the address lives: IPv4 as a host-order number, IPv6 as a bigint of 128 bits; 0 = none. */
  tunnelEndpoint: number | bigint;
  /** Encryption key, 0 = none. */
  key: number;
  /** `REMOTE_ENDPOINT_FLAG` bits; those of a tunnel endpoint are added by `upsert`. */
  flags: number;
}

export interface IpcacheEntry extends RemoteEndpointInfo {
  /** IPv4 as a host-order number, IPv6 as a bigint of 128 bits. */
  ip: number | bigint;
  prefixLen: number;
}

/** Address prefix → identity, pinned as `cilium_ipcache_v2`; of the local cluster. Control plane: throws MapError. */
export class IpcacheMap {
  readonly trie: LpmTrie;
  private readonly memory: Memory;

  private constructor(trie: LpmTrie) {
    this.trie = trie;
    this.memory = trie.memory;
  }

  /** @throws MapError EEXIST, ENOMEM */
  static create(memory: Memory, maxEntries = MAX_ENTRIES): IpcacheMap {
    const spec = {
      keySize: IPCACHE_KEY.size,
      valueSize: REMOTE_ENDPOINT_INFO.size,
      maxEntries,
      name: IPCACHE_MAP_NAME,
    };
    return new IpcacheMap(pinOrDestroy(LpmTrie.create(memory, spec)));
  }

  /** @throws MapError ENOENT */
  static open(memory: Memory): IpcacheMap {
    return new IpcacheMap(LpmTrie.attach(memory, openPin(memory, IPCACHE_MAP_NAME)));
  }

  /**
   * @param ip        IPv4 as a host-order number, IPv6 as a bigint; bits behind the prefix do not count, but are kept
   * @param prefixLen 0..32, of IPv6 0..128
   * @throws MapError ENOSPC if full, EINVAL
   */
  upsert(ip: number | bigint, prefixLen: number, info: RemoteEndpointInfo): void {
    const m = this.memory;
    const { key, value } = this.write(ip, prefixLen);
    setSecIdentity(m, value, info.identity);
    setTunnelEndpoint(m, value, info.tunnelEndpoint);
    setEncryptKey(m, value, info.key);
    setRemoteEndpointFlags(m, value, info.flags | tunnelFlags(info.tunnelEndpoint));
    check(this.trie.update(key, value), 'ipcache: upsert', { ip, prefixLen, identity: info.identity });
  }

  /** @throws MapError ENOENT */
  delete(ip: number | bigint, prefixLen: number): void {
    check(this.trie.delete(this.write(ip, prefixLen).key), 'ipcache: delete', { ip, prefixLen });
  }

  /** What the longest prefix that holds the address says. */
  lookup(ip: number | bigint): IpcacheEntry | undefined {
    const at = this.trie.lookup(this.write(ip, widthOf(ip)).key);
    return at === NULL ? undefined : this.read(this.trie.keyOf(at), at);
  }

  /** Longer prefixes before those that contain them. */
  entries(): IpcacheEntry[] {
    return this.trie.entries().map(({ key, value }) => this.read(key, value));
  }

  private write(ip: number | bigint, prefixLen: number): { key: Address; value: Address } {
    if (!(prefixLen >= 0 && prefixLen <= widthOf(ip)))
      throw new MapError('EINVAL', 'ipcache: no such prefix', { ip, prefixLen });
    const scratch = controlScratch(this.memory);
    if (typeof ip === 'bigint') setIpcacheKey6(this.memory, scratch.key, ip, prefixLen, 0);
    else setIpcacheKey4(this.memory, scratch.key, ip, prefixLen, 0);
    return scratch;
  }

  private read(key: Address, value: Address): IpcacheEntry {
    const m = this.memory;
    const isV6 = m.u8[key + IPCACHE_KEY.family] === FAMILY_IPV6;
    return {
      ip: isV6 ? address6(m, key + IPCACHE_KEY.ip4) : m.view.getUint32(key + IPCACHE_KEY.ip4),
      prefixLen: m.u32[(key + IPCACHE_KEY.prefixlen) >> 2]! - IPCACHE_STATIC_PREFIX_BITS,
      identity: secIdentity(m, value),
      tunnelEndpoint: tunnelEndpoint(m, value),
      key: encryptKey(m, value),
      flags: remoteEndpointFlags(m, value),
    };
  }
}

/** Bits of an address. */
const widthOf = (ip: number | bigint): number => (typeof ip === 'bigint' ? 128 : 32);

function tunnelFlags(endpoint: number | bigint): number {
  if (typeof endpoint === 'bigint')
    return REMOTE_ENDPOINT_FLAG.flag_has_tunnel_ep | REMOTE_ENDPOINT_FLAG.flag_ipv6_tunnel_ep;
  return endpoint === 0 ? 0 : REMOTE_ENDPOINT_FLAG.flag_has_tunnel_ep;
}
