import { expect, test } from 'vitest';
import { type MaglevBackend, maglevHashString, maglevTable, parseMaglevSeed } from '../src/index.ts';

const backend = (id: number, address: string, weight?: number): MaglevBackend => ({
  id,
  address,
  port: 8080,
  protocol: 'TCP',
  ...(weight !== undefined && { weight }),
});

// From tables of Cilium's own pkg/maglev.
const tables: [name: string, backends: MaglevBackend[], first: number[]][] = [
  ['two backends', [backend(1, '10.0.0.1'), backend(2, '10.0.0.2')], [1, 2, 1, 2, 1, 2, 1, 2, 2, 1, 2, 1, 2, 1, 2, 1]],
  [
    'three, the one of most weight first',
    [backend(1, '10.0.0.1', 100), backend(2, '10.0.0.2', 200), backend(3, '10.0.0.3', 300)],
    [3, 3, 3, 3, 3, 2, 3, 2, 3, 3, 3, 3, 3, 3, 2, 1],
  ],
  [
    'four of IPv6',
    [backend(1, 'fd00::1'), backend(2, 'fd00::2'), backend(3, 'fd00::3'), backend(4, 'fd00::4')],
    [1, 4, 4, 4, 1, 3, 2, 1, 3, 3, 3, 2, 2, 2, 1, 3],
  ],
];
test.each(tables)('the first slots of the table of %s', (_name, backends, first) => {
  expect([...maglevTable(backends, { m: 251 }).subarray(0, 16)]).toEqual(first);
});

test('a backend is hashed by its address, port and protocol, whatever its id', () => {
  expect(maglevHashString({ address: '10.0.0.1', port: 53, protocol: 'UDP' })).toBe('[10.0.0.1:53/UDP,State:active]');
  expect(maglevHashString({ address: 'fd00::1', port: 80, protocol: 'TCP', scope: 1 })).toBe(
    '[[fd00::1]:80/TCP/i,State:active]',
  );
});

const refused: [name: string, ask: () => unknown, message: string][] = [
  [
    'a size that is not prime',
    () => maglevTable([backend(1, '10.0.0.1')], { m: 250 }),
    'Maglev table size 250: want one of 251,',
  ],
  ['no backend', () => maglevTable([]), 'a Maglev table of no backends'],
  ['a short seed', () => parseMaglevSeed('AAAA'), 'Maglev hash seed "AAAA": want 12 bytes in base64'],
  ['a seed in other letters', () => parseMaglevSeed('JLfvgnHc2kaSUFa!'), 'want 12 bytes in base64'],
];
test.each(refused)('refused: %s', (_name, ask, message) => {
  expect(ask).toThrow(expect.objectContaining({ code: 'BAD_INPUT', message: expect.stringContaining(message) }));
});
