import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientHelloReader, type Inspection } from '../src/tls/client_hello.ts';
import { clientHello, extension, handshake, helloBody, record, serverNames, VERSIONS, vector16 } from './hello.ts';
import { seed } from './support.ts';

console.log(`seed ${seed}`);

const read = (bytes: readonly number[] | Uint8Array): Inspection => new ClientHelloReader().push(new Uint8Array(bytes));
const tls = (serverName?: string): Inspection => ({ kind: 'tls', serverName });
const RAW: Inspection = { kind: 'raw' };
const MORE: Inspection = { kind: 'more' };
const hello = (extensions: readonly number[] | undefined, session?: number): number[] =>
  record(handshake(1, helloBody(extensions, session)));
const filler = (bytes: number): number[] => extension(21, new Array<number>(bytes).fill(0));

const scenarios: [name: string, bytes: readonly number[] | Uint8Array, want: Inspection][] = [
  ['a name is found', clientHello('deathstar.test'), tls('deathstar.test')],
  ['no name', clientHello(undefined), tls()],
  ['no extensions', hello([]), tls()],
  ['not even a list of extensions, as before TLS 1.2', hello(undefined), tls()],
  ['capitals are made small', clientHello('DeathStar.TEST'), tls('deathstar.test')],
  ['a dot at the end stays', clientHello('deathstar.test.'), tls('deathstar.test.')],
  ['an address is a name like any other', clientHello('10.0.0.1'), tls('10.0.0.1')],
  ['letters of other alphabets stay bytes', hello(serverNames('d\u00c4th')), tls('d\u00c4th')],
  ['a name with a NUL', clientHello('deathstar.test\0.evil.test'), RAW],
  ['an empty name', clientHello(''), RAW],
  ['a name of 255 bytes', clientHello('a'.repeat(255)), tls('a'.repeat(255))],
  ['a name of 256 bytes', clientHello('a'.repeat(256)), RAW],
  ['an extension for names without any', hello(extension(0, [])), RAW],
  ['an empty list of names', hello(extension(0, vector16([]))), RAW],
  ['two names', hello(serverNames('a.test', 'b.test')), RAW],
  ['two extensions with names', hello([...serverNames('a.test'), ...serverNames('b.test')]), RAW],
  ['a name of another type', hello(extension(0, vector16([1, ...vector16([97])]))), RAW],
  ['bytes after the list of names', hello(extension(0, [...vector16([0, ...vector16([97])]), 0])), RAW],
  ['a list of names that goes beyond its extension', hello(extension(0, [0, 9, 0, 0, 1, 97])), RAW],
  ['an extension that goes beyond the list', hello([...VERSIONS, 0, 43, 0, 9, 0]), RAW],
  ['half an extension', hello([...VERSIONS, 0]), RAW],
  ['an extension without content', hello([...extension(23, []), ...serverNames('a.test')]), tls('a.test')],
  ['bytes after the extensions', record(handshake(1, [...helloBody(VERSIONS), 0])), RAW],
  ['a session id that is too long', hello(VERSIONS, 33), RAW],
  ['a message that ends in the middle', record(handshake(1, helloBody(VERSIONS).slice(0, 50))), RAW],
  ['an empty message', record(handshake(1, [])), RAW],
  ['a ServerHello', record(handshake(2, helloBody(VERSIONS))), RAW],
  ['an alert', record([2, 40], 21), RAW],
  ['a record without content', record([]), RAW],
  ['any version of the record', record(handshake(1, helloBody(VERSIONS)), 22, 0x0303), tls()],
  ['SSL 2', [0x80, 0x2e, 1, 0, 2], RAW],
  ['HTTP, from its first byte on', [...Buffer.from('G')], RAW],
  ['the first byte', [22], MORE],
  ['the first byte of TLS, and one of something else', [22, 4], RAW],
  ['all but the last byte', clientHello('a.test').slice(0, -1), MORE],
  ['bytes after it do not matter', [...clientHello('a.test'), ...record([1, 2, 3], 23)], tls('a.test')],
  ['one that is long', record(handshake(1, helloBody([...filler(15_000), ...serverNames('a.test')]))), tls('a.test')],
  ['one that says it is too long', record([1, 0, 0x50, 0, 0]), { kind: 'tooLarge' }],
  ['a record that is too long', [22, 3, 1, 0x40, 0x01, 1], RAW],
  ['records that together are too long', [22, 3, 1, 0x3f, 0xfc, 1], { kind: 'tooLarge' }],
  ['one that says it is 16 MiB long', record([1, 0xff, 0xff, 0xff, 0]), { kind: 'tooLarge' }],
];

describe('the first flight of a client', () => {
  test.each(scenarios)('%s', (_name, bytes, want) => {
    expect(read(bytes)).toEqual(want);
  });

  test('is told whole, byte by byte, and in small records', () => {
    for (const recordBytes of [1, 2, 3, 4, 5, 7, 64, 16_384]) {
      const reader = new ClientHelloReader();
      const bytes = clientHello('deathstar.test', recordBytes);
      const found = [...bytes].map((byte) => reader.push(new Uint8Array([byte])).kind);
      expect(found.slice(0, -1).every((kind) => kind === 'more')).toBe(true);
      expect(reader.push(new Uint8Array(0))).toEqual(tls('deathstar.test'));
    }
  });

  test('records of one byte do not go on for ever', () => {
    const reader = new ClientHelloReader();
    const message = handshake(1, helloBody([...filler(6000), ...serverNames('a.test')]));
    const kinds = message.map((byte) => reader.push(new Uint8Array(record([byte]))).kind);
    expect(kinds.at(-1)).toBe('tooLarge');
  });
});

describe('any bytes', () => {
  const mutated = fc
    .tuple(fc.constantFrom('a.test', undefined), fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }))
    .map(([name, changes]) => {
      const bytes = clientHello(name);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });

  test('are told the same however they are split, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), fc.array(fc.nat(300)), (bytes, cuts) => {
        const reader = new ClientHelloReader();
        const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        let at = 0;
        let found: Inspection = MORE;
        for (const end of ends) {
          found = reader.push(bytes.subarray(at, end));
          at = end;
        }
        expect(found).toEqual(read(bytes));
      }),
      { seed, numRuns: 2000 },
    );
  });

  test('never make up a name: one that is found stands in the bytes', () => {
    fc.assert(
      fc.property(mutated, (bytes) => {
        const found = read(bytes);
        if (found.kind !== 'tls' || found.serverName === undefined) return;
        const small = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
        expect(small(Buffer.from(bytes).toString('latin1'))).toContain(found.serverName);
      }),
      { seed, numRuns: 2000 },
    );
  });
});
