import type { Address, BpfMap, Memory } from '@ciliate/maps';
import { POLICY_MATCH_NONE } from '../../lib/common.ts';
import { PolicyVerdict } from '../../lib/policy.ts';
import type { EngineEntry, EngineKey } from '../engine.ts';

/** What a policy function needs of its map. */
export type Lookup = Pick<BpfMap, 'lookup'>;

/** What the policy function of any release says beside its return code. */
export class ProfileVerdict extends PolicyVerdict {
  /** Of the policy log; only 1.18-cookie and 1.19 set it. The u32 as a signed number: V8 puts greater ones on the heap. */
  cookie = 0;

  /** As before the call. */
  clear(): void {
    this.proxyPort = 0;
    this.matchType = POLICY_MATCH_NONE;
    this.authType = 0;
    this.entry = 0;
    this.cookie = 0;
  }
}

/**
 * The policy map and the policy function of one release. `decide` is what an eBPF program does with the map: it never
 * throws and never allocates.
 */
export interface Profile {
  /** As users name it. */
  name: string;
  about: string;
  map: 'hash' | 'lpm-trie';
  /** Bytes. */
  keySize: number;
  /** Bytes. */
  valueSize: number;
  /** At most so many for one verdict. */
  maxLookups: number;
  /** Which of an entry's fields the release knows. Without ranges, a range is its first port. */
  knows: {
    ranges: boolean;
    auth: boolean;
    explicitAuth: boolean;
    priority: boolean;
    precedence: boolean;
    cookie: boolean;
  };
  /** Traffic that answers other traffic (a mark of the packet) passes if no entry matches. */
  hasSkipMark: boolean;
  /** A redirect is returned as the proxy port's raw bytes, not in an output of its own. */
  returnsProxyPort: boolean;
  /** ICMP rules are asked for by the protocol alone, not also by the IP family. */
  icmpOfAnyFamily: boolean;
  writeKey(m: Memory, at: Address, key: EngineKey): void;
  writeValue(m: Memory, at: Address, entry: EngineEntry): void;
  /**
   * @param key    address of `keySize` bytes of scratch, on a multiple of 4
   * @param dport  host order; for ICMP the type
   * @param out    all its fields are set
   * @returns      0 or a negative drop code
   */
  decide(
    m: Memory,
    map: Lookup,
    key: Address,
    identity: number,
    egress: 0 | 1,
    protocol: number,
    dport: number,
    isFragment: boolean,
    out: ProfileVerdict,
  ): number;
}

/** `struct policy_entry` of all releases begins so: proxy port be16, flags u8, auth u8. */
export const VALUE = { proxyPort: 0, flags: 2, auth: 3 } as const;
export const VALUE_DENY = 0x01;
