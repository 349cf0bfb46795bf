import { check, MapError } from '../errors.ts';
import { LpmTrie } from '../lpm_trie.ts';
import { type Address, type Memory, NULL } from '../memory.ts';
import { openPin, pinOrDestroy } from '../pinned_map.ts';
import { unpin } from '../pins.ts';
import { controlScratch } from '../scratch.ts';
import {
  authType,
  hasExplicitAuth,
  isDeny,
  keyDport,
  keyIdentity,
  keyIsEgress,
  keyPrefixlen,
  keyProtocol,
  POLICY_ENTRY,
  POLICY_KEY,
  POLICY_PROTOCOL_BITS,
  POLICY_STATIC_PREFIX_BITS,
  proxyPort,
  proxyPortPriority,
  setAuthType,
  setDeny,
  setHasExplicitAuth,
  setLpmPrefixLength,
  setPolicyKey,
  setProxyPort,
  setProxyPortPriority,
} from './layout.ts';

export interface PolicyKey {
  egress: boolean;
  /** 0 = any. */
  identity: number;
  /** IP protocol, 0 = any; then `dport` and `portPrefixLen` are 0. */
  protocol: number;
  /** Host order, 0 = any; then `portPrefixLen` is 0. */
  dport: number;
  /** Leading bits of `dport` that count, 0..16. */
  portPrefixLen: number;
}

export interface PolicyEntry {
  deny: boolean;
  /** Host order, 0 = no redirect. */
  proxyPort: number;
  /** 0..255; the higher one wins among entries that match. */
  proxyPortPriority: number;
  /** 0 = none. */
  authType: number;
  hasExplicitAuth: boolean;
}

/** Endpoint ids are 1..4095 in Cilium. */
export const policyMapName = (endpointId: number): string => `cilium_policy_v2_${String(endpointId).padStart(5, '0')}`;

/** Bits of the key beyond the static ones. Source: pkg/maps/policymap, NewKey. */
function prefixBits(key: PolicyKey): number {
  if (key.protocol === 0 && key.dport === 0) return 0;
  return POLICY_PROTOCOL_BITS + (key.dport === 0 ? 0 : key.portPrefixLen);
}

/** Writes the key at `at` (a multiple of 4). */
export function writePolicyKey(m: Memory, at: Address, key: PolicyKey): void {
  const bits = POLICY_STATIC_PREFIX_BITS + prefixBits(key);
  setPolicyKey(m, at, bits, key.identity, key.egress ? 1 : 0, key.protocol, key.dport);
}

export function readPolicyKey(m: Memory, at: Address): PolicyKey {
  const portBits = keyPrefixlen(m, at) - POLICY_STATIC_PREFIX_BITS - POLICY_PROTOCOL_BITS;
  return {
    egress: keyIsEgress(m, at),
    identity: keyIdentity(m, at),
    protocol: keyProtocol(m, at),
    dport: keyDport(m, at),
    portPrefixLen: Math.max(0, portBits),
  };
}

export function readPolicyEntry(m: Memory, at: Address): PolicyEntry {
  return {
    deny: isDeny(m, at),
    proxyPort: proxyPort(m, at),
    proxyPortPriority: proxyPortPriority(m, at),
    authType: authType(m, at),
    hasExplicitAuth: hasExplicitAuth(m, at),
  };
}

/** The policy of one endpoint, an LPM trie pinned as `cilium_policy_v2_<id>`. Control plane: throws MapError. */
export class PolicyMap {
  readonly trie: LpmTrie;
  readonly endpointId: number;
  private readonly memory: Memory;

  private constructor(trie: LpmTrie, endpointId: number) {
    this.trie = trie;
    this.endpointId = endpointId;
    this.memory = trie.memory;
  }

  /** @throws MapError EEXIST if the endpoint has one, ENOMEM */
  static create(memory: Memory, endpointId: number, maxEntries = 16_384): PolicyMap {
    const name = policyMapName(endpointId);
    const spec = { keySize: POLICY_KEY.size, valueSize: POLICY_ENTRY.size, maxEntries, name };
    return new PolicyMap(pinOrDestroy(LpmTrie.create(memory, spec)), endpointId);
  }

  /** @throws MapError ENOENT if the endpoint has none */
  static open(memory: Memory, endpointId: number): PolicyMap {
    return new PolicyMap(LpmTrie.attach(memory, openPin(memory, policyMapName(endpointId))), endpointId);
  }

  get address(): Address {
    return this.trie.address;
  }

  /** Adds or replaces. @throws MapError ENOSPC if full, EINVAL for a key that no map can hold */
  update(key: PolicyKey, entry: PolicyEntry): void {
    const m = this.memory;
    const { key: k, value: v } = this.write(key);
    setLpmPrefixLength(m, v, prefixBits(key));
    setDeny(m, v, entry.deny);
    setProxyPort(m, v, entry.proxyPort);
    setProxyPortPriority(m, v, entry.proxyPortPriority);
    setAuthType(m, v, entry.authType);
    setHasExplicitAuth(m, v, entry.hasExplicitAuth);
    check(this.trie.update(k, v), 'policy map: update', this.context(key));
  }

  /** @throws MapError ENOENT */
  delete(key: PolicyKey): void {
    check(this.trie.delete(this.write(key).key), 'policy map: delete', this.context(key));
  }

  /** The entry of exactly this key. */
  get(key: PolicyKey): PolicyEntry | undefined {
    const { key: k } = this.write(key);
    const value = this.trie.lookup(k);
    if (value === NULL) return undefined;
    // A lookup also finds shorter prefixes.
    return keyPrefixlen(this.memory, this.trie.keyOf(value)) === keyPrefixlen(this.memory, k)
      ? readPolicyEntry(this.memory, value)
      : undefined;
  }

  entries(): (PolicyKey & PolicyEntry)[] {
    return this.trie
      .entries()
      .map(({ key, value }) => ({ ...readPolicyKey(this.memory, key), ...readPolicyEntry(this.memory, value) }));
  }

  /** Takes the pin away and gives the memory back, once all readers have passed a quiet point. */
  destroy(): void {
    unpin(this.memory, policyMapName(this.endpointId));
    this.trie.destroy();
  }

  private write(key: PolicyKey): { key: Address; value: Address } {
    const isPort = key.protocol !== 0 || (key.dport === 0 && key.portPrefixLen === 0);
    const isPrefix = key.portPrefixLen >= 0 && key.portPrefixLen <= 16 && (key.dport !== 0 || key.portPrefixLen === 0);
    if (!isPort || !isPrefix) throw new MapError('EINVAL', 'policy map: no such key', this.context(key));
    const scratch = controlScratch(this.memory);
    writePolicyKey(this.memory, scratch.key, key);
    return scratch;
  }

  private context(key: PolicyKey): Record<string, string | number> {
    const direction = key.egress ? 'egress' : 'ingress';
    const { identity, protocol, dport, portPrefixLen } = key;
    return { endpoint: this.endpointId, direction, identity, protocol, dport, portPrefixLen };
  }
}
