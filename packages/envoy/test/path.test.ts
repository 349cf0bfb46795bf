import { expect, test } from 'vitest';
import { type NormalizedPath, normalizePath } from '../src/path.ts';

const scenarios: [name: string, target: string, want: NormalizedPath['kind'], path?: string][] = [
  ['a plain path stays', '/a/b', 'forward', '/a/b'],
  ['dot segments are resolved', '/a/./b/../c', 'forward', '/a/c'],
  ['also at the end', '/a/b/..', 'forward', '/a/'],
  ['a single dot at the end leaves the folder', '/a/.', 'forward', '/a/'],
  ['nothing lies above the root', '/../../a', 'forward', '/a'],
  ['dots that are part of a name stay', '/a/..b/c.d/...', 'forward', '/a/..b/c.d/...'],
  ['escaped dots count as dots', '/a/%2e%2E/b', 'forward', '/b'],
  ['one escaped and one plain dot too', '/a/.%2e/b', 'forward', '/b'],
  ['slashes in a row become one', '//a///b//', 'forward', '/a/b/'],
  ['dot segments go before slashes are merged', '/a//../b', 'forward', '/a/b'],
  ['a backslash is a slash', '/a\\..\\b', 'forward', '/b'],
  ['escapes of unreserved characters are undone', '/%70ublic/%7Ea%2Dz', 'forward', '/public/~a-z'],
  ['other escapes stay as they are', '/a%20b%3f%c3', 'forward', '/a%20b%3f%c3'],
  ['a broken escape stays', '/100%/a%2', 'forward', '/100%/a%2'],
  ['an escaped percent sign is not looked through', '/a%252fb', 'forward', '/a%252fb'],
  ['characters that paths may not hold are escaped', '/a<b>"{|}^`', 'forward', '/a%3Cb%3E%22%7B%7C%7D%5E%60'],
  ['the query is left alone', '/a/../b?x=/../%2F//', 'forward', '/b?x=/../%2F//'],
  ['an escaped slash sends the client away', '/public%2Fx', 'redirect', '/public/x'],
  ['in small letters too, and with the query', '/a%2fb?q', 'redirect', '/a/b?q'],
  ['an escaped backslash likewise', '/a%5Cb', 'redirect', '/a/b'],
  ['with all else normalised', '/a/%2e%2e%2Fsecret', 'redirect', '/secret'],
  ['an escaped NUL is refused', '/a%00b', 'reject'],
  ['a fragment is refused', '/a#b', 'reject'],
  ['a fragment after the query too', '/a?b#c', 'reject'],
];

test.each(scenarios)('%s: %s', (_name, target, kind, path) => {
  expect(normalizePath(target)).toEqual(path === undefined ? { kind } : { kind, path });
});
