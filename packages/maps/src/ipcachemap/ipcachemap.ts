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
  setRemoteEndpointFlags,
  setSecIdentity,
  setTunnelEndpoint,
  tunnelEndpoint,
} from './layout.ts';

export const IPCACHE_MAP_NAME = 'cilium_ipcache_v2';
const MAX_ENTRIES = 512_000;

export interface RemoteEndpointInfo {
  identity: number;
  /** IPv4 of the node behind which the address lives, host order; 0 = none. */
  tunnelEndpoint: number;
  /** Encryption key, 0 = none. */
  key: number;
  /** `REMOTE_ENDPOINT_FLAG` bits; that of a tunnel endpoint is added by `upsert`. */
  flags: number;
}

export interface IpcacheEntry extends RemoteEndpointInfo {
  /** Host order. */
  ip: number;
  prefixLen: number;
}

/** Address prefix → identity, pinned as `cilium_ipcache_v2`; IPv4 of the local cluster. Control plane: throws MapError. */
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
   * @param ip        host order; bits behind the prefix do not count, but are kept
   * @param prefixLen 0..32
   * @throws MapError ENOSPC if full, EINVAL
   */
  upsert(ip: number, prefixLen: number, info: RemoteEndpointInfo): void {
    const m = this.memory;
    const { key, value } = this.write(ip, prefixLen);
    setSecIdentity(m, value, info.identity);
    setTunnelEndpoint(m, value, info.tunnelEndpoint);
    setEncryptKey(m, value, info.key);
    const tunnelFlag = info.tunnelEndpoint === 0 ? 0 : REMOTE_ENDPOINT_FLAG.flag_has_tunnel_ep;
    setRemoteEndpointFlags(m, value, info.flags | tunnelFlag);
    check(this.trie.update(key, value), 'ipcache: upsert', { ip, prefixLen, identity: info.identity });
  }

  /** @throws MapError ENOENT */
  delete(ip: number, prefixLen: number): void {
    check(this.trie.delete(this.write(ip, prefixLen).key), 'ipcache: delete', { ip, prefixLen });
  }

  /** What the longest prefix that holds the address says. */
  lookup(ip: number): IpcacheEntry | undefined {
    const at = this.trie.lookup(this.write(ip, 32).key);
    return at === NULL ? undefined : this.read(this.trie.keyOf(at), at);
  }

  /** Longer prefixes before those that contain them. */
  entries(): IpcacheEntry[] {
    return this.trie.entries().map(({ key, value }) => this.read(key, value));
  }

  private write(ip: number, prefixLen: number): { key: Address; value: Address } {
    if (!(prefixLen >= 0 && prefixLen <= 32))
      throw new MapError('EINVAL', 'ipcache: no such prefix', { ip, prefixLen });
    const scratch = controlScratch(this.memory);
    setIpcacheKey4(this.memory, scratch.key, ip, prefixLen, 0);
    return scratch;
  }

  private read(key: Address, value: Address): IpcacheEntry {
    const m = this.memory;
    return {
      ip: m.view.getUint32(key + IPCACHE_KEY.ip4),
      prefixLen: m.u32[(key + IPCACHE_KEY.prefixlen) >> 2]! - IPCACHE_STATIC_PREFIX_BITS,
      identity: secIdentity(m, value),
      tunnelEndpoint: tunnelEndpoint(m, value),
      key: encryptKey(m, value),
      flags: remoteEndpointFlags(m, value),
    };
  }
}
