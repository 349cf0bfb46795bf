import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  absoluteName,
  anchoredExpression,
  compileDnsRules,
  compilePattern,
  compileSelector,
  dnsRulesExpression,
  fqdnLabel,
} from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const name = (matchName: string) => ({ matchName, matchPattern: '' });
const pattern = (matchPattern: string) => ({ matchName: '', matchPattern });

test.each<[name: string, selector: ReturnType<typeof name>, asked: string, want: boolean]>([
  ['a name selects itself', name('cilium.io'), 'cilium.io', true],
  ['whatever its case', name('CILIUM.io'), 'cilium.IO', true],
  ['and not what is below it', name('cilium.io'), 'www.cilium.io', false],
  ['a star is one level', pattern('*.cilium.io'), 'www.cilium.io', true],
  ['never two', pattern('*.cilium.io'), 'a.b.cilium.io', false],
  ['never none', pattern('*.cilium.io'), 'cilium.io', false],
  ['two stars are one', pattern('**.cilium.io'), 'a.b.cilium.io', false],
  ['a star inside a level', pattern('sub*.cilium.io'), 'subdomain.cilium.io', true],
  ['may stand for nothing', pattern('sub*.cilium.io'), 'sub.cilium.io', true],
  ['several of them', pattern('a*b*c.io'), 'aXbbYcc.io', true],
  ['in the right order', pattern('a*b*c.io'), 'acb.io', false],
  ['a star stands for no space', pattern('*.io'), 'a b.io', false],
  ['the star alone is every name', pattern('*'), 'a.b.c.d', true],
  ['the root too', pattern('*'), '.', true],
  ['but no name with an empty level', pattern('*'), 'a..b', false],
  ['a star and a dot are one level', pattern('*.'), 'a.b', false],
  ['neither name nor pattern is the root alone', pattern(''), '.', true],
])('%s', (_name, selector, asked, want) => {
  expect(compileSelector(selector)(absoluteName(asked))).toBe(want);
});

test.each<[name: string, rules: ReturnType<typeof name>[], asked: string, want: boolean]>([
  ['no rule: the proxy lets everything be asked', [], 'x.', true],
  ['a star: anything, names that are none included', [name('a.io'), pattern('*')], 'a..b', true],
  ['any rule is enough', [name('a.io'), pattern('*.b.io')], 'x.b.io.', true],
  ['name and pattern of one rule are two', [{ matchName: 'a.io', matchPattern: '*.b.io' }], 'a.io.', true],
  ['what no rule names is denied', [name('a.io'), pattern('*.b.io')], 'c.io.', false],
  ['an empty rule allows nothing', [pattern('')], '.', false],
])('%s', (_name, rules, asked, want) => {
  expect(compileDnsRules(rules)(asked)).toBe(want);
});

test('the label of an identity is the name or the pattern as written', () => {
  expect([name('WWW.io'), pattern('*.Io')].map(fqdnLabel)).toEqual([
    { source: 'fqdn', key: 'WWW.io', value: '' },
    { source: 'fqdn', key: '*.Io', value: '' },
  ]);
});

// Short, of few letters, so that matches are as common as misses.
const part = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 6 });
const label = fc.string({ unit: fc.constantFrom('a', 'b', 'A', ' '), maxLength: 8 });
const dotted = (arbitrary: fc.Arbitrary<string>) =>
  fc.array(arbitrary, { minLength: 1, maxLength: 3 }).map((parts) => `${parts.join('.')}.`);

test('matching without regular expressions is what the expressions of Cilium say', () => {
  fc.assert(
    fc.property(fc.oneof(dotted(part), fc.constant('*')), dotted(label), (text, asked) => {
      expect(compilePattern(text)(asked)).toBe(new RegExp(anchoredExpression(text)).test(asked));
      const rules = [pattern(text), name('b.a')];
      expect(compileDnsRules(rules)(asked)).toBe(new RegExp(dnsRulesExpression(rules)).test(asked));
    }),
    { seed, numRuns: 2_000 },
  );
});

test('a pattern of many stars takes no longer than its length', () => {
  const start = performance.now();
  expect(compilePattern(`${'*a'.repeat(100)}.`)(`${'a'.repeat(99)}b.`)).toBe(false);
  expect(performance.now() - start).toBeLessThan(50);
});
