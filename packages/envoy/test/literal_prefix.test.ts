import fc from 'fast-check';
import { RE2JS } from 're2js';
import { expect, test } from 'vitest';
import { splitLiteral } from '../src/literal_prefix.ts';
import { compileMatcher } from '../src/matcher.ts';
import { PrefixTree } from '../src/prefix_tree.ts';
import { RequestHeaderMap } from '../src/request_header_map.ts';
import { seed } from './support.ts';

console.log(`seed ${seed}`);

const REQUEST = { method: 'GET', path: '/', authority: 'deathstar' };

test.each([
  ['/v1/items', '/v1/items', ''],
  ['^/v1/items$', '/v1/items', '$'],
  ['/v1/[0-9]+', '/v1/', '[0-9]+'],
  ['/v1\\.2/.*', '/v1.2/', '.*'],
  ['/v1\\.*', '/v1', '\\.*'],
  ['/v1/\\d', '/v1/', '\\d'],
  ['/items?', '/item', 's?'],
  ['/items{2}', '/item', 's{2}'],
  ['/v1(/.*)?', '/v1', '(/.*)?'],
  ['/a|/b', '', '/a|/b'],
  ['/v1/(a|b)', '/v1/', '(a|b)'],
  ['/v1/[|]', '', '/v1/[|]'],
  ['(?i)/v1', '', '(?i)/v1'],
  ['a*', '', 'a*'],
  ['^a*', '', '^a*'],
  ['.*', '', '.*'],
  ['', '', ''],
  ['/😀*', '/', '😀*'],
])('%s begins with %j and goes on with %j', (expression, literal, rest) => {
  expect(splitLiteral(expression)).toEqual({ literal, rest });
});

test('an expression in two parts matches what it matches as a whole', () => {
  const pieces = String.raw`a b / . \. - [ab] [^a] (a|b) (/.*)? (?i:A) \d \b \B \A ^ $ a* b+ \.? a{2} .* 😀 | \^ (?m) \n`;
  const piece = fc.constantFrom(...pieces.split(' '));
  const seen = { matches: 0, none: 0 };
  const expressions = fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(''));
  const values = fc.array(fc.constantFrom('a', 'A', 'b', '/', '.', '-', '1', '^', '\n', '😀'), { maxLength: 6 });
  fc.assert(
    fc.property(expressions, fc.array(values, { minLength: 20, maxLength: 20 }), (expression, texts) => {
      const matches = compileMatcher({ name: 'x', stringMatch: { safeRegex: { regex: expression } } }, 'rule');
      const whole = RE2JS.compile(expression);
      for (const text of texts.map((chars) => chars.join(''))) {
        const expected = whole.testExact(text);
        seen[expected ? 'matches' : 'none']++;
        expect([text, matches(new RequestHeaderMap({ ...REQUEST, headers: [['x', text]] }))]).toEqual([text, expected]);
      }
    }),
    { seed, numRuns: 2000 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(1000); // both happen
});

test('a tree gives the values of all prefixes of a text, the shortest first', () => {
  const prefixes = ['/api/v1', '/', '/api', '/b', '/api/v2', '', '/api/v1/items', '/a'];
  const tree = new PrefixTree<string>();
  for (const prefix of prefixes) tree.set(prefix, prefix);
  for (const text of [...prefixes, '/api/v1/items/7', '/apx', 'x', '/bc'])
    expect(tree.of(text)).toEqual(
      prefixes.filter((prefix) => text.startsWith(prefix)).sort((a, b) => a.length - b.length),
    );
});
