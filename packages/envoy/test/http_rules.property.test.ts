import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeaderLog } from '../src/header_match.ts';
import { compileHttpRule, ruleAllows } from '../src/http_rules.ts';
import { CompiledPolicy, type HttpNetworkPolicyRule } from '../src/index.ts';
import { RequestHeaderMap } from '../src/request_header_map.ts';
import { judge } from './judge.ts';
import { EMPIRE, PORT, policyOf, seed } from './support.ts';

console.log(`seed ${seed}`);

const paths = [
  '/',
  '/a',
  '/a/b',
  '/b',
  '/ab',
  '/a?q=1',
  '/A',
  '/x/y/z',
  '/xyz',
  '/a/1',
  '/é',
  '/éé',
  '/a.b',
  '/aa',
  '/axb',
  '|',
];
const expressions = [
  '/',
  '/a',
  '/a/.*',
  '/[ab]',
  '/a.*|/b',
  '(?i)/a',
  '^/a$',
  '/a(/b)?',
  '.*',
  '',
  '/x.*z',
  '/a/\\d',
  '/a\\.b',
  '/ab*',
  '/a{1,2}',
  '/é+',
  '(?:/a)|/b',
  '/a|/b',
  '\\|',
  '/[|]a|/aa',
  '/a[.]b',
  '\\Q/a.b\\E',
  '\\x2fa',
  '/[^a]+',
  'a',
];
const hosts = ['h', 'a.h', 'b.h:80'];
const methods = ['GET', 'PUT', 'get'];
const request = fc.record({
  path: fc.constantFrom(...paths),
  method: fc.constantFrom(...methods),
  authority: fc.constantFrom(...hosts),
  headers: fc.constantFrom([], [['x-a', '1']] as const),
});
const matcher = (name: string, regexes: readonly string[]) =>
  fc.constantFrom(...regexes).map((regex) => ({ name, stringMatch: { safeRegex: { regex } } }));
const rule: fc.Arbitrary<HttpNetworkPolicyRule> = fc
  .tuple(
    fc.option(matcher(':path', expressions)),
    fc.option(matcher(':method', ['GET', 'GET|PUT', '(?i)get', '.*'])),
    fc.option(matcher(':authority', ['h', '.*h', 'b\\.h(:\\d+)?'])),
    fc.option(fc.constantFrom('ADD_ON_MISMATCH', 'REPLACE_ON_MISMATCH', 'FAIL_ON_MISMATCH' as const), { freq: 5 }),
    fc.nat(3),
  )
  .map(([path, method, host, mismatchAction, value]) => ({
    headers: [path, method, host].filter((one) => one !== null),
    ...(mismatchAction !== null && {
      headerMatches: [{ name: 'x-a', value: `${value}`, mismatchAction: mismatchAction as 'ADD_ON_MISMATCH' }],
    }),
  }));

test('rules found among many say what they say asked one by one, and do the same in the same order', () => {
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 40 }),
      fc.array(request, { minLength: 1 }),
      (rules, requests) => {
        const policy = new CompiledPolicy(
          policyOf(rules.map((one, index) => ({ name: `${index}`, httpRules: { httpRules: [one] } }))),
        );
        const compiled = rules.map((one) => compileHttpRule(one, ''));
        const acting = compiled.some(({ actions }) => actions.length > 0);
        for (const one of requests) {
          const headers = new RequestHeaderMap(one);
          const log = new HeaderLog();
          let first = -1;
          for (const [index, each] of compiled.entries()) {
            if (first >= 0 && !acting) break;
            if (ruleAllows(each, headers, log) && first < 0) first = index;
          }
          const verdict = judge(policy, one, EMPIRE, PORT);
          expect(verdict.matchedRule).toBe(first < 0 ? undefined : `${first}`);
          expect([verdict.headers.lines, verdict.missing, verdict.rejected]).toEqual([
            headers.lines,
            log.missing,
            log.rejected,
          ]);
        }
      },
    ),
    { seed, numRuns: 300 },
  );
});
