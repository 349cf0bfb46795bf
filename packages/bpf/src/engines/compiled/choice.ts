import { CTX_ACT_OK } from '../../lib/common.ts';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_POLICY,
  DROP_POLICY_AUTH_REQUIRED,
  DROP_POLICY_DENY,
} from '../../lib/drop_reasons.ts';
import { ANSWER, FRAGMENT } from '../engine.ts';
import { RANK_DENY } from '../record.ts';
import * as w from './wasm.ts';

const { and, get, i32, load, or, select, set, shl, shrU } = w;

/**
 * Locals that a choice works in. In: `l3` and `l4`, the addresses of the two records (`Record18`; rank 0: none). Out:
 * `isL3`, `chosen`, `other` (addresses) and of the chosen one `said`, `rank` and `auth`, what it asks for. `said` and
 * `auth` may be the same locals as `l3` and `l4`.
 */
export interface ChoiceLocals {
  l3: number;
  l4: number;
  isL3: number;
  chosen: number;
  other: number;
  said: number;
  auth: number;
  inherited: number;
  rank: number;
}

/**
 * `answerFrom` of record.ts in WebAssembly, without branches, because what was found is random to a processor: the greater
 * rank wins, on a tie the entry for the identity; then the answer is written.
 *
 * @param record offsets of a record's words from the addresses
 * @param flags of the question
 * @param answer where the answer goes, at this offset
 * @param portAndType what it says but for the authentication: match type << 16 | proxy port
 */
export function choose(
  locals: ChoiceLocals,
  record: { said: number; rank: number },
  flags: w.Code,
  answer: w.Code,
  offset: number,
  portAndType: w.Code,
): w.Code {
  const { l3, l4, isL3, chosen, other, said, auth, inherited, rank } = locals;
  const authOf = (what: w.Code): w.Code => and(shrU(what, i32(24)), i32(0x7f));
  const ret = select(
    i32(DROP_POLICY_DENY),
    select(
      select(i32(DROP_FRAG_NOSUPPORT), i32(DROP_POLICY), and(flags, i32(FRAGMENT))),
      select(i32(DROP_POLICY_AUTH_REQUIRED), i32(CTX_ACT_OK), get(auth)),
      w.eqz(get(rank)),
    ),
    w.eq(get(rank), i32(RANK_DENY)),
  );
  return w.seq(
    set(isL3, w.geS(load(get(l3), record.rank), load(get(l4), record.rank))),
    set(chosen, select(get(l3), get(l4), get(isL3))),
    set(other, select(get(l4), get(l3), get(isL3))),
    set(rank, load(get(chosen), record.rank)),
    set(said, load(get(chosen), record.said)),
    set(auth, authOf(get(said))),
    set(inherited, authOf(load(get(other), record.said))),
    // Bit 31: authentication is explicit, nothing is inherited.
    set(auth, select(get(inherited), get(auth), and(w.geS(get(said), i32(0)), w.gtS(get(inherited), get(auth))))),
    w.store(answer, offset + ANSWER.ret, ret),
    w.store(answer, offset + ANSWER.proxyPort, or(portAndType, shl(get(auth), i32(24)))),
  );
}
