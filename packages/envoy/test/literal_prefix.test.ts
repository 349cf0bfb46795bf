import { expect, test } from 'vitest';
import { literalPrefix } from '../src/literal_prefix.ts';
import { PrefixTree } from '../src/prefix_tree.ts';

test.each([
  ['/v1/items', '/v1/items'],
  ['^/v1/items$', '/v1/items'],
  ['/v1/[0-9]+', '/v1/'],
  ['/v1\\.2/.*', '/v1.2/'],
  ['/v1/\\d', '/v1/'],
  ['/items?', '/item'],
  ['/items{2}', '/item'],
  ['/v1(/.*)?', '/v1'],
  ['/a|/b', ''],
  ['/v1/(a|b)', '/v1/'],
  ['/v1/[|]', ''],
  ['(?i)/v1', ''],
  ['.*', ''],
  ['', ''],
  ['/😀*', '/'],
])('%s begins with %j', (expression, prefix) => {
  expect(literalPrefix(expression)).toBe(prefix);
});

test('a tree gives the values of all prefixes of a text, the shortest first', () => {
  const prefixes = ['/api/v1', '/', '/api', '/b', '/api/v2', '', '/api/v1/items', '/a'];
  const tree = new PrefixTree<string>();
  for (const prefix of prefixes) tree.set(prefix, prefix);
  for (const text of [...prefixes, '/api/v1/items/7', '/apx', 'x', '/bc'])
    expect([...tree.of(text)]).toEqual(
      prefixes.filter((prefix) => text.startsWith(prefix)).sort((a, b) => a.length - b.length),
    );
});
