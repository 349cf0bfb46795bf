import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  allowed,
  CompiledPolicy,
  decodeNetworkPolicy,
  encodeNetworkPolicy,
  type HttpNetworkPolicyRules,
  httpRulesToNpds,
  type PolicyRequest,
} from '../src/index.ts';
import { EMPIRE, PORT, policyOf } from './support.ts';

interface Facts {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly { path?: string; method?: string; host?: string }[];
    readonly npds: HttpNetworkPolicyRules | null;
    readonly vectors: readonly { readonly request: PolicyRequest; readonly allowed: boolean }[];
  }[];
  readonly sanitize: readonly { readonly rule: { path?: string; method?: string }; readonly error?: string }[];
}

const facts = JSON.parse(readFileSync(new URL('./fixtures/http.json', import.meta.url), 'utf8')) as Facts;

test('the fixture holds what it should', () => {
  expect(facts.groups).toHaveLength(18);
  expect(facts.groups.flatMap(({ vectors }) => vectors).length).toBeGreaterThan(150);
});

describe.each(facts.groups)('$name', ({ rules, npds, vectors }) => {
  test('is sent to the proxy as Cilium sends it', () => {
    expect(httpRulesToNpds(rules) ?? null).toEqual(npds);
  });

  const http = httpRulesToNpds(rules);
  const sent = encodeNetworkPolicy(policyOf([http === undefined ? {} : { httpRules: http }]));
  const policy = new CompiledPolicy(decodeNetworkPolicy(sent));
  test.each(vectors)('$request.method $request.authority $request.path: $allowed', ({ request, allowed: want }) => {
    expect(allowed(policy, request, EMPIRE, PORT).allowed).toBe(want);
  });
});

test.each(facts.sanitize)('$rule: $error', ({ rule, error }) => {
  const compile = () => new CompiledPolicy(policyOf([{ httpRules: httpRulesToNpds([rule])! }]));
  // What the agent lets through, a bad host for instance, the proxy refuses.
  if (error === undefined && !('host' in rule)) expect(compile).not.toThrow();
  else expect(compile).toThrow(error ?? 'missing closing ): `(`');
});
