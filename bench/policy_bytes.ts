import type { EngineEntry } from '@ciliate/bpf';
import {
  type Memory,
  POLICY_ENTRY,
  POLICY_KEY,
  Scratch,
  setAuthType,
  setDeny,
  setHasExplicitAuth,
  setLpmPrefixLength,
  setProxyPort,
  setProxyPortPriority,
  writePolicyKey,
} from '@ciliate/maps';
import { prefixBitsOf } from './reference.ts';

/** Keys and values as a policy map of 1.18 holds them, one behind the other: what the kernel and C are given. */
export function policyBytes(memory: Memory, entries: readonly EngineEntry[]): Uint8Array {
  const size = POLICY_KEY.size + POLICY_ENTRY.size;
  const scratch = Scratch.create(memory, 32);
  const at = scratch.take(32);
  const value = at + 16;
  const bytes = new Uint8Array(entries.length * size);
  entries.forEach((entry, n) => {
    memory.u8.fill(0, value, value + POLICY_ENTRY.size);
    writePolicyKey(memory, at, entry);
    setDeny(memory, value, entry.deny);
    setLpmPrefixLength(memory, value, prefixBitsOf(entry));
    setProxyPort(memory, value, entry.proxyPort);
    setProxyPortPriority(memory, value, entry.proxyPortPriority);
    setAuthType(memory, value, entry.authType);
    setHasExplicitAuth(memory, value, entry.hasExplicitAuth);
    bytes.set(memory.u8.subarray(at, at + POLICY_KEY.size), n * size);
    bytes.set(memory.u8.subarray(value, value + POLICY_ENTRY.size), n * size + POLICY_KEY.size);
  });
  return bytes;
}
