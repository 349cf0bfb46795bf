import { MapError, POLICY_PROTOCOL_BITS } from '@ciliate/maps';
import type { EngineKey } from './engine.ts';

/** The port's leading bits, host order; the others are 0. 0 also stands for any port, as Cilium's agent writes it. */
export const portPrefix = ({ dport, portPrefixLen }: Pick<EngineKey, 'dport' | 'portPrefixLen'>): number =>
  dport & (0xffff << (16 - portPrefixLen)) & 0xffff;

/** Bits of the key beyond identity and direction: 0, 8, or 8 and the port's 1..16. Source: pkg/maps/policymap, NewKey. */
export function prefixBits(key: EngineKey): number {
  if (key.protocol === 0) return 0;
  return POLICY_PROTOCOL_BITS + (portPrefix(key) === 0 ? 0 : key.portPrefixLen);
}

/** @throws MapError EINVAL for what is no key of any policy map */
export function checkKey(key: EngineKey): void {
  const { identity, protocol, dport, portPrefixLen } = key;
  const isIn = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max;
  const isRange = isIn(identity, 0xffff_ffff) && isIn(protocol, 255) && isIn(dport, 0xffff) && isIn(portPrefixLen, 16);
  if (isRange && (protocol !== 0 || dport === 0)) return;
  throw new MapError('EINVAL', 'no such policy key', { identity, protocol, dport, portPrefixLen });
}

/** Equal for equal keys of an LPM trie, and only for those. */
export function keyText(key: EngineKey): string {
  return `${key.egress ? 'e' : 'i'}/${key.identity}/${key.protocol}/${portPrefix(key)}/${prefixBits(key)}`;
}
