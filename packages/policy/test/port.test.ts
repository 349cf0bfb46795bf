import { expect, test } from 'vitest';
import { isPortName, parsePort } from '../src/api/port.ts';

test.each<[sentence: string, text: string, want: number | undefined]>([
  ['decimal', '80', 80],
  ['the largest', '65535', 65535],
  ['too large', '65536', undefined],
  ['a zero in front makes it octal', '010', 8],
  ['octal has no 8', '08', undefined],
  ['hexadecimal', '0x50', 80],
  ['binary', '0b11', 3],
  ['octal with a letter', '0O17', 15],
  ['digits in groups', '8_080', 8080],
  ['groups in hexadecimal', '0x_1F', 31],
  ['nothing between groups', '8__0', undefined],
  ['a group mark at the end', '80_', undefined],
  ['a sign', '+80', undefined],
  ['a fraction', '80.5', undefined],
  ['a space', '80 ', undefined],
  ['nothing', '', undefined],
])('a port number: %s', (_sentence, text, want) => expect(parsePort(text)).toBe(want));

test.each<[sentence: string, text: string, want: boolean]>([
  ['letters', 'http', true],
  ['capital letters', 'HTTP', true],
  ['digits and one letter', '80a', true],
  ['short hexadecimal numbers are names', '0x50', true],
  ['single dashes inside', 'a-b-1', true],
  ['15 letters', 'abcdefghijklmno', true],
  ['not 16', 'abcdefghijklmnop', false],
  ['not digits alone', '8-0', false],
  ['no dash in front', '-a', false],
  ['no dash at the end', 'a-', false],
  ['no two dashes', 'a--b', false],
  ['no underscore', 'a_b', false],
  ['not nothing', '', false],
])('a port name: %s', (_sentence, text, want) => expect(isPortName(text)).toBe(want));
