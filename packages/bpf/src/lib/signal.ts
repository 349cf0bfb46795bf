import type { Address } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import type { Family } from './family.ts';

/** What a program asks the agent to do. Source: bpf/lib/signal.h. */
const SIGNAL_NAT_FILL_UP = 0;
const SIGNAL_CT_FILL_UP = 1;
const SIGNAL_AUTH_REQUIRED = 2;

/** @param at,bytes of what follows the signal's number */
function sendSignal(dp: Datapath, signal: number, at: Address, bytes: number): void {
  dp.memory.u32[dp.stack.signal >> 2] = signal;
  dp.signals?.outputParts(dp.stack.signal, 4, at, bytes);
}

/** To collect connections: NAT hardly finds a free port. */
export const sendSignalNatFillUp = (dp: Datapath, fam: Family): void => sendProto(dp, fam, SIGNAL_NAT_FILL_UP);

/** To collect connections: there is no room for another. */
export const sendSignalCtFillUp = (dp: Datapath, fam: Family): void => sendProto(dp, fam, SIGNAL_CT_FILL_UP);

/** To authenticate two identities. @param key `struct auth_key` */
export const sendSignalAuthRequired = (dp: Datapath, key: Address, bytes: number): void =>
  sendSignal(dp, SIGNAL_AUTH_REQUIRED, key, bytes);

function sendProto(dp: Datapath, fam: Family, signal: number): void {
  const proto = dp.stack.signal + 4;
  dp.memory.u32[proto >> 2] = fam.isV6 ? 1 : 0;
  sendSignal(dp, signal, proto, 4);
}
