import { readFileSync } from 'node:fs';
import type { PortRuleHTTP } from '@ciliate/policy';
import { describe, expect, test } from 'vitest';
import {
  CompiledPolicy,
  decodeNetworkPolicy,
  encodeNetworkPolicy,
  type Headers,
  type HttpNetworkPolicyRules,
  httpRulesToNpds,
  type LoggedHeader,
  type PolicyRequest,
} from '../src/index.ts';
import { judge } from './judge.ts';
import { EMPIRE, PORT, policyOf } from './support.ts';

interface Facts {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly RawRule[];
    readonly npds: HttpNetworkPolicyRules | null;
    readonly vectors: readonly {
      readonly request: PolicyRequest;
      readonly allowed: boolean;
      readonly after?: Headers;
      readonly missing?: Headers;
      readonly rejected?: Headers;
    }[];
  }[];
  readonly sanitize: readonly { readonly rule: { path?: string; method?: string }; readonly error?: string }[];
}

/** As it stands in a policy: what is left out is empty. */
type RawRule = Partial<Omit<PortRuleHTTP, 'headerMatches'>> & {
  readonly headerMatches?: readonly Partial<NonNullable<PortRuleHTTP['headerMatches']>[number]>[];
};
const ruleOf = ({ headerMatches = [], ...rest }: RawRule) => ({
  ...rest,
  headerMatches: headerMatches.map((match) => ({ name: '', value: '', mismatch: '', secret: undefined, ...match })),
});

const facts = JSON.parse(readFileSync(new URL('./fixtures/http.json', import.meta.url), 'utf8')) as Facts;
const lowerCase = (lines: Headers = []): Headers => lines.map(([name, value]) => [name.toLowerCase(), value]);
const linesOf = (logged: readonly LoggedHeader[]): Headers => logged.map(({ name, value }) => [name, value]);

test('the fixture holds what it should', () => {
  expect(facts.groups).toHaveLength(38);
  expect(facts.groups.flatMap(({ vectors }) => vectors)).toHaveLength(315);
});

describe.each(facts.groups)('$name', ({ rules, npds, vectors }) => {
  const http = httpRulesToNpds(rules.map(ruleOf));
  test('is sent to the proxy as Cilium sends it', () => {
    expect(http ?? null).toEqual(npds);
  });

  const sent = encodeNetworkPolicy(policyOf([http === undefined ? {} : { httpRules: http }]));
  const policy = new CompiledPolicy(decodeNetworkPolicy(sent));
  test.each(vectors)('$request.method $request.authority $request.path $request.headers: $allowed', (vector) => {
    const request = { ...vector.request, headers: lowerCase(vector.request.headers) };
    const verdict = judge(policy, request, EMPIRE, PORT);
    expect(verdict.allowed).toBe(vector.allowed);
    expect(verdict.headers.lines).toEqual(vector.after ?? []);
    expect(linesOf(verdict.missing)).toEqual(vector.missing ?? []);
    expect(linesOf(verdict.rejected)).toEqual(vector.rejected ?? []);
  });
});

test.each(facts.sanitize)('$rule: $error', ({ rule, error }) => {
  const compile = () => new CompiledPolicy(policyOf([{ httpRules: httpRulesToNpds([rule])! }]));
  // What the agent lets through, a bad host for instance, the proxy refuses.
  if (error === undefined && !('host' in rule)) expect(compile).not.toThrow();
  else expect(compile).toThrow(error ?? 'missing closing ): `(`');
});
