import { type IpAddress, parseIp } from '@ciliate/packet';
import type { Resolver } from '../src/index.ts';

export const TIME_NS = 1714979289123456789n; // 2024-05-06T07:08:09.123456789Z
const RESERVED: Record<number, string> = { 0: 'unknown', 1: 'host', 2: 'world' };
const CLIENT = { id: 11, identity: 1001, namespace: 'default', podName: 'client' };
const SERVER = { id: 22, identity: 1002, namespace: 'prod', podName: 'server' };
const ENDPOINTS: ReadonlyMap<IpAddress | undefined, typeof CLIENT> = new Map([
  [parseIp('10.0.0.1'), CLIENT],
  [parseIp('10.0.0.2'), SERVER],
  [parseIp('fd00::1'), CLIENT],
  [parseIp('fd00::2'), SERVER],
]);

/** The two pods of the recorded cases and a Service. */
export const resolver: Resolver = {
  endpointOf: (address) => ENDPOINTS.get(address),
  serviceOf: (address, port) =>
    address === 0x0a600001 && port === 80 ? { namespace: 'prod', name: 'web' } : undefined,
  identityName: (identity) => RESERVED[identity],
};

/** Knows the endpoints but not their names: lines then show addresses, as the recorded ones do. */
export const nameless: Resolver = {
  ...resolver,
  endpointOf: (address) => {
    const known = ENDPOINTS.get(address);
    return known && { ...known, namespace: '', podName: '' };
  },
};

export const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** The bytes with some of them replaced. */
export function patched(bytes: Uint8Array, at: Record<number, number>): Uint8Array {
  const copy = bytes.slice();
  for (const [offset, value] of Object.entries(at)) copy[Number(offset)] = value;
  return copy;
}
