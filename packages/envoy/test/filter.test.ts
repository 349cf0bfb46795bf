import { expect, test } from 'vitest';
import {
  allowedAtNetwork,
  CompiledPolicy,
  type HeaderMatch,
  type Headers,
  type HttpNetworkPolicyRules,
  type PortNetworkPolicy,
} from '../src/index.ts';
import { judge } from './judge.ts';
import { ALLIANCE, EMPIRE, httpRules, policyOf } from './support.ts';

const http = (name: string, path: string, remotePolicies: number[] = []) =>
  ({ name, remotePolicies, httpRules: httpRules({ path }) }) as const;
const plain = (name: string, remotePolicies: number[] = []) => ({ name, remotePolicies }) as const;

const policies = {
  none: undefined,
  nothing: [],
  'port 80 without rules': [{ port: 80 }],
  'port 80 for the empire': [{ port: 80, rules: [plain('l4', [EMPIRE])] }],
  'port 80 for the empire on /a': [{ port: 80, rules: [http('l7', '/a', [EMPIRE])] }],
  'port 80 for anybody on /a': [{ port: 80, rules: [http('l7', '/a')] }],
  'port 80: empire all, alliance /a': [{ port: 80, rules: [http('l7', '/a', [ALLIANCE]), plain('l4', [EMPIRE])] }],
  'every port for the empire': [{ rules: [plain('all', [EMPIRE])] }],
  'every port for the empire, 80 on /a for the alliance': [
    { rules: [plain('all', [EMPIRE])] },
    { port: 80, rules: [http('l7', '/a', [ALLIANCE])] },
  ],
  'ports 80-90 for the empire on /a': [{ port: 80, endPort: 90, rules: [http('l7', '/a', [EMPIRE])] }],
  'port 80 on /a, and again without rules': [{ port: 80, rules: [http('l7', '/a', [EMPIRE])] }, { port: 80 }],
  'UDP port 80 for the empire': [{ port: 80, protocol: 'UDP', rules: [plain('l4', [EMPIRE])] }],
  'two rules for /a': [{ port: 80, rules: [http('first', '/a'), http('second', '/a|/b')] }],
} satisfies Record<string, PortNetworkPolicy[] | undefined>;

// Verdicts: `reset`, `403`, or the rule that let the request pass (`-`: none needed).
const scenarios: [policy: keyof typeof policies, who: number, port: number, path: string, want: string][] = [
  ['none', EMPIRE, 80, '/a', 'reset'],
  ['nothing', EMPIRE, 80, '/a', 'reset'],
  ['port 80 without rules', ALLIANCE, 80, '/b', '-'],
  ['port 80 without rules', ALLIANCE, 81, '/b', 'reset'],
  ['port 80 for the empire', EMPIRE, 80, '/b', 'l4'],
  ['port 80 for the empire', ALLIANCE, 80, '/b', 'reset'],
  ['port 80 for the empire on /a', EMPIRE, 80, '/a', 'l7'],
  ['port 80 for the empire on /a', EMPIRE, 80, '/a?x', '403'],
  ['port 80 for the empire on /a', EMPIRE, 80, '/ab', '403'],
  ['port 80 for the empire on /a', ALLIANCE, 80, '/a', 'reset'],
  ['port 80 for anybody on /a', ALLIANCE, 80, '/a', 'l7'],
  ['port 80 for anybody on /a', ALLIANCE, 80, '/b', '403'],
  ['port 80: empire all, alliance /a', EMPIRE, 80, '/b', 'l4'],
  ['port 80: empire all, alliance /a', ALLIANCE, 80, '/a', 'l7'],
  ['port 80: empire all, alliance /a', ALLIANCE, 80, '/b', '403'],
  ['every port for the empire', EMPIRE, 8080, '/b', 'all'],
  ['every port for the empire', ALLIANCE, 8080, '/b', 'reset'],
  ['every port for the empire, 80 on /a for the alliance', EMPIRE, 80, '/b', 'all'],
  ['every port for the empire, 80 on /a for the alliance', ALLIANCE, 80, '/a', 'l7'],
  ['every port for the empire, 80 on /a for the alliance', ALLIANCE, 81, '/a', 'reset'],
  ['ports 80-90 for the empire on /a', EMPIRE, 90, '/a', 'l7'],
  ['ports 80-90 for the empire on /a', EMPIRE, 91, '/a', 'reset'],
  ['port 80 on /a, and again without rules', ALLIANCE, 80, '/b', '-'],
  ['port 80 on /a, and again without rules', EMPIRE, 80, '/a', 'l7'],
  ['UDP port 80 for the empire', EMPIRE, 80, '/a', 'reset'],
  ['two rules for /a', EMPIRE, 80, '/a', 'first'],
  ['two rules for /a', EMPIRE, 80, '/b', 'second'],
];

test.each(scenarios)('%s: %i to port %i asks %s: %s', (name, who, port, path, want) => {
  const entries = policies[name];
  const policy = entries && new CompiledPolicy({ ...policyOf([]), ingressPerPortPolicies: entries });
  const request = { method: 'GET', path, authority: 'deathstar' };
  const network = allowedAtNetwork(policy, { remoteIdentity: who, port });
  const verdict = judge(policy, request, who, port);
  const got = !network.allowed ? 'reset' : !verdict.allowed ? '403' : (verdict.matchedRule ?? '-');
  expect(got).toBe(want);
});

test('a policy withdrawn from an open connection denies its next request', () => {
  const request = { method: 'GET', path: '/', authority: 'deathstar' };
  expect(judge(undefined, request, EMPIRE, 80)).toMatchObject({ allowed: false, matchedRule: undefined });
});

test('an expression that drives backtracking engines mad takes no time', () => {
  const policy = new CompiledPolicy(policyOf([http('l7', '/(a*)*b')]));
  const started = performance.now();
  const request = { method: 'GET', path: `/${'a'.repeat(20_000)}`, authority: '' };
  expect(judge(policy, request, EMPIRE, 80).allowed).toBe(false);
  expect(performance.now() - started).toBeLessThan(2_000);
});

const action = (match: HeaderMatch, name = 'X-A') => ({ httpRules: [{ headerMatches: [{ ...match, name }] }] });
const changes: [what: string, rules: HttpNetworkPolicyRules, headers: Headers, want: object][] = [
  [
    'a header that must not be there denies',
    action({ name: '', matchAction: 'FAIL_ON_MATCH', mismatchAction: 'CONTINUE_ON_MISMATCH' }),
    [['x-a', '1']],
    { allowed: false, rejected: [{ name: 'x-a', value: '' }], missing: [] },
  ],
  [
    'a header that must not be there is taken out',
    action({ name: '', matchAction: 'DELETE_ON_MATCH', mismatchAction: 'CONTINUE_ON_MISMATCH' }),
    [['x-a', '1']],
    { allowed: true, lines: [], rejected: [{ name: 'x-a', value: '' }] },
  ],
  [
    'what Envoy keeps in one line gets one more value there',
    action({ name: '', mismatchAction: 'ADD_ON_MISMATCH', value: 'b' }, 'User-Agent'),
    [['user-agent', 'a']],
    { allowed: true, lines: [['user-agent', 'a,b']] },
  ],
  [
    'the host goes by both of its names',
    action({ name: '', mismatchAction: 'REPLACE_ON_MISMATCH', value: 'b' }, 'Host'),
    [],
    { allowed: true, authority: 'b', rejected: [{ name: 'host', value: 'deathstar' }] },
  ],
  [
    'a secret never shows in the log, and a value stands in for it',
    action({ name: '', mismatchAction: 'REPLACE_ON_MISMATCH', value: 'b', valueSdsSecret: 's' }),
    [['x-a', '1']],
    { allowed: true, lines: [['x-a', 'b']], rejected: [{ name: 'x-a', value: '[redacted]' }] },
  ],
  [
    'a secret that did not come lets nothing pass',
    action({ name: '', valueSdsSecret: 's' }),
    [['x-a', '']],
    { allowed: false },
  ],
  [
    'a header that counts as empty when it is not there',
    { httpRules: [{ headers: [{ name: 'X-A', stringMatch: { exact: '' }, treatMissingHeaderAsEmpty: true }] }] },
    [],
    { allowed: true },
  ],
  [
    'a header that must be absent',
    { httpRules: [{ headers: [{ name: 'X-A', presentMatch: true, invertMatch: true }] }] },
    [['x-a', '1']],
    { allowed: false },
  ],
];

test.each(changes)('%s', (_what, httpRules, headers, want) => {
  const policy = new CompiledPolicy(policyOf([{ httpRules }]));
  const { headers: after, ...verdict } = judge(
    policy,
    { method: 'GET', path: '/', authority: 'deathstar', headers },
    EMPIRE,
    80,
  );
  expect({ ...verdict, lines: after.lines, authority: after.get(':authority') }).toMatchObject(want);
});
