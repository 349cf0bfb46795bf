import type { Address, Memory } from '@ciliate/maps';
import { CTX_ACT_OK } from '../lib/common.ts';
import { DROP_FRAG_NOSUPPORT, DROP_POLICY, DROP_POLICY_AUTH_REQUIRED, DROP_POLICY_DENY } from '../lib/drop_reasons.ts';
import { matchType } from '../lib/policy.ts';
import { type EngineEntry, type EngineKey, FRAGMENT, writeAnswer } from './engine.ts';
import { portPrefix, prefixBits } from './entry_key.ts';

/**
 * An entry of 1.18 in two words, for engines with a form of their own. `said`: proxy port u16, prefix bits u8, auth u8
 * (bit 7: explicit). `rank`: of two entries that match the greater one wins, on a tie the one for the identity; 0 = no
 * entry. A deny says nothing else and ranks above everything.
 */
export interface Record18 {
  said: number;
  rank: number;
}
/** Above every (priority << 5 | bits) + 1. */
export const RANK_DENY = 0x4000;
const RANK_PRIORITY_SHIFT = 5;
const SAID_BITS_SHIFT = 16;
const SAID_AUTH_SHIFT = 24;
const EXPLICIT = 0x80;
const AUTH_TYPE = 0x7f;

export function recordOf(entry: EngineEntry): Record18 {
  const bits = prefixBits(entry);
  if (entry.deny) return { said: (bits << SAID_BITS_SHIFT) | (EXPLICIT << SAID_AUTH_SHIFT), rank: RANK_DENY };
  const auth = (entry.authType & AUTH_TYPE) | (entry.hasExplicitAuth ? EXPLICIT : 0);
  return {
    said: entry.proxyPort | (bits << SAID_BITS_SHIFT) | (auth << SAID_AUTH_SHIFT),
    rank: ((entry.proxyPortPriority << RANK_PRIORITY_SHIFT) | bits) + 1,
  };
}

/** Protocol, port and direction as the second word of a question has them. */
export const wordOf = (key: EngineKey): number => portPrefix(key) | (key.protocol << 16) | ((key.egress ? 1 : 0) << 24);

/** Which bits of that word a key with so many prefix bits names: always the direction. */
export const maskOf = (bits: number): number => 0xff00_0000 | (0xff_ffff & (0xff_ffff << (24 - bits))) | 0;

/**
 * The choice of 1.18 between the entry for the identity and the one for any, and its answer. Allocates nothing.
 * @param flags of the question
 */
export function answerFrom(
  m: Memory,
  answer: Address,
  flags: number,
  l3Said: number,
  l3Rank: number,
  l4Said: number,
  l4Rank: number,
): number {
  const namesIdentity = l3Rank >= l4Rank;
  const rank = namesIdentity ? l3Rank : l4Rank;
  if (rank === 0) return writeAnswer(m, answer, (flags & FRAGMENT) === 0 ? DROP_POLICY : DROP_FRAG_NOSUPPORT, 0, 0, 0);
  const chosen = namesIdentity ? l3Said : l4Said;
  const other = namesIdentity ? l4Said : l3Said;
  const type = matchType((chosen >>> SAID_BITS_SHIFT) & 0xff, namesIdentity);
  if (rank === RANK_DENY) return writeAnswer(m, answer, DROP_POLICY_DENY, 0, type, 0);
  let auth = (chosen >>> SAID_AUTH_SHIFT) & AUTH_TYPE;
  if (chosen >= 0) auth = Math.max(auth, (other >>> SAID_AUTH_SHIFT) & AUTH_TYPE); // bit 31: explicit
  const ret = auth === 0 ? CTX_ACT_OK : DROP_POLICY_AUTH_REQUIRED;
  return writeAnswer(m, answer, ret, chosen & 0xffff, type, auth);
}
