import { type EndpointSelector, Labels } from '@ciliate/labels';
import { describe, expect, test } from 'vitest';
import { detachPolicy, type EndpointPolicy, lookupMapState, PolicyRepository, resolvePolicy } from '../src/index.ts';
import { at, cacheOf, cnp, networkPolicy, pod, port, select } from './build.ts';

const DEATHSTAR = pod({ org: 'empire', class: 'deathstar' });
const TIEFIGHTER = pod({ org: 'empire', class: 'tiefighter' });
const XWING = pod({ org: 'alliance', class: 'xwing' });
const IDENTITIES = { deathstar: 1001, tiefighter: 1002, xwing: 1003 };
const cache = () =>
  cacheOf([
    [IDENTITIES.deathstar, DEATHSTAR],
    [IDENTITIES.tiefighter, TIEFIGHTER],
    [IDENTITIES.xwing, XWING],
  ]);

const subject = { class: 'deathstar' };
const empire = [{ org: 'empire' }];
const landing = { method: 'POST', path: '/v1/request-landing' };

function resolve(subjectLabels: Labels, ...policies: Parameters<PolicyRepository['upsert']>[0][]): EndpointPolicy {
  const repository = new PolicyRepository({ clusterName: 'default' });
  for (const policy of policies) repository.upsert(policy);
  return resolvePolicy(repository, subjectLabels, cache());
}

const verdict = ({ mapState }: EndpointPolicy, identity: number, dport: number, protocol = 6): string => {
  const entry = lookupMapState(mapState, { egress: false, identity, protocol, dport });
  if (entry === undefined) return 'no rule allows';
  return entry.redirect ? `redirect ${entry.filterId}` : 'allow';
};

test('the Death Star: nothing, L4, L7', () => {
  const { tiefighter, xwing } = IDENTITIES;
  const open = resolve(DEATHSTAR);
  expect([open.ingressEnforced, verdict(open, xwing, 80)]).toEqual([false, 'allow']);

  const l4 = resolve(DEATHSTAR, cnp('rule1', subject, { endpoints: empire, ports: [port(80)] }));
  expect([l4.ingressEnforced, l4.egressEnforced, l4.redirects]).toEqual([true, false, []]);
  expect([verdict(l4, tiefighter, 80), verdict(l4, xwing, 80)]).toEqual(['allow', 'no rule allows']);
  expect([verdict(l4, tiefighter, 81), verdict(l4, tiefighter, 80, 17)]).toEqual(['no rule allows', 'no rule allows']);

  const l7 = resolve(DEATHSTAR, cnp('rule1', subject, { endpoints: empire, ports: [port(80, 'TCP', landing)] }));
  expect([verdict(l7, tiefighter, 80), verdict(l7, xwing, 80)]).toEqual(['redirect ingress:TCP:80:', 'no rule allows']);
  expect(l7.redirects).toEqual([
    {
      filterId: 'ingress:TCP:80:',
      direction: 'ingress',
      protocol: 'TCP',
      port: 80,
      parser: 'http',
      selectors: [
        {
          selector: '{"matchLabels":{"any:org":"empire","k8s:io.kubernetes.pod.namespace":"default"}}',
          wildcard: false,
          identities: [IDENTITIES.deathstar, tiefighter],
          parser: 'http',
          http: [{ ...landing, host: undefined }],
          origins: [expect.objectContaining({ name: 'rule1', position: at(10) })],
        },
      ],
    },
  ]);
});

describe('an entry tells where it comes from', () => {
  test('each of the rules that allow it', () => {
    const policy = resolve(
      DEATHSTAR,
      cnp('a', subject, { entities: ['host'] }, { endpoints: empire, ports: [port(80)] }),
      cnp('b', subject, { endpoints: [{ class: 'tiefighter' }], ports: [port(80)] }),
    );
    const entry = policy.mapState.get(`ingress:${IDENTITIES.tiefighter}:6:80/16`);
    expect(entry!.origins).toEqual([
      { kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'a', specIndex: 0, ruleIndex: 1, position: at(20) },
      { kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'b', specIndex: 0, ruleIndex: 0, position: at(10) },
    ]);
  });

  test('the node may always come in, by itself and by rules', () => {
    const policy = resolve(DEATHSTAR, cnp('a', subject, { entities: ['host'] }));
    expect(policy.mapState.get('ingress:1:0:0/0')!.origins.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'CiliumNetworkPolicy a',
      'implicit allow-localhost-ingress',
    ]);
  });

  test('without policy everything is allowed', () => {
    const names = [...resolve(DEATHSTAR).mapState].map(([key, { origins }]) => `${key} ${origins[0]!.name}`);
    expect(names.sort()).toEqual([
      'egress:0:0:0/0 allow-any-egress',
      'ingress:0:0:0/0 allow-any-ingress',
      'ingress:1:0:0/0 allow-localhost-ingress',
    ]);
  });
});

test('what everybody may do is not said again for an identity, except where no port is given', () => {
  const identities = (number: number): string[] => {
    const policy = resolve(
      DEATHSTAR,
      cnp('a', subject, { endpoints: [{ class: 'xwing' }], ports: [port(number)] }),
      cnp('b', subject, { entities: ['all'], ports: [port(number)] }),
    );
    return [...policy.mapState.values()].filter(({ key }) => key.protocol === 6).map(({ key }) => `${key.identity}`);
  };
  expect(identities(80)).toEqual(['0']);
  expect(identities(0)).toEqual(['0', `${IDENTITIES.xwing}`]);
});

describe('HTTP rules of one port', () => {
  const get = { method: 'GET' };
  const http = (...policies: Parameters<PolicyRepository['upsert']>[0][]) =>
    resolve(DEATHSTAR, ...policies).redirects.flatMap(({ selectors }) =>
      selectors.map((selector) => selector.http.map((rule) => `${rule.method ?? '*'} ${rule.path ?? '*'}`)),
    );

  test.each<[string, Parameters<typeof http>, string[][]]>([
    [
      'of equal selectors are joined, equal ones once',
      [
        cnp('a', subject, { endpoints: empire, ports: [port(80, 'TCP', get, landing)] }),
        cnp('b', subject, { endpoints: empire, ports: [port(80, 'TCP', landing, { method: 'PUT' })] }),
      ],
      [['GET *', 'POST /v1/request-landing', 'PUT *']],
    ],
    [
      'get a rule for everything where the same selector is allowed plainly',
      [
        cnp('a', subject, { endpoints: empire, ports: [port(80, 'TCP', get)] }),
        cnp('b', subject, { endpoints: empire, ports: [port(80)] }),
      ],
      [['GET *', '* *']],
    ],
    [
      'in either order',
      [
        cnp('a', subject, { endpoints: empire, ports: [port(80)] }),
        cnp('b', subject, { endpoints: empire, ports: [port(80, 'TCP', get)] }),
      ],
      [['GET *', '* *']],
    ],
    [
      'stay as they are beside another selector that is allowed plainly',
      [
        cnp('a', subject, { endpoints: empire, ports: [port(80, 'TCP', get)] }),
        cnp('b', subject, { endpoints: [{ class: 'tiefighter' }], ports: [port(80)] }),
      ],
      [['GET *'], []],
    ],
    [
      'do not hold for the node where they select it with others',
      [cnp('a', subject, { entities: ['all'], ports: [port(80, 'TCP', get)] })],
      [['GET *'], []],
    ],
    [
      'hold for the node where they name it',
      [cnp('a', subject, { entities: ['host'], ports: [port(80, 'TCP', get)] })],
      [['GET *']],
    ],
    [
      'are nobody’s if their selectors select nobody',
      [cnp('a', subject, { endpoints: [{ org: 'jedi' }], ports: [port(80, 'TCP', get)] })],
      [],
    ],
  ])('%s', (_sentence, policies, want) => {
    expect(http(...policies)).toEqual(want);
  });
});

describe('the subject', () => {
  const labelled = (...labels: string[]): Labels => Labels.parse([...DEATHSTAR.toStrings(), ...labels]);
  const everything = cnp('a', {}, { entities: ['all'] });
  test.each<[sentence: string, subject: Labels, enforced: [ingress: boolean, egress: boolean]]>([
    ['a pod that a policy selects is enforced', DEATHSTAR, [true, false]],
    ['a pod of another namespace is not', pod({}, 'other'), [false, false]],
    ['an endpoint without labels yet is, in both directions', Labels.parse(['reserved:init']), [true, true]],
    ['the node never is', Labels.parse(['reserved:host']), [false, false]],
    ['nor is a pod with a label "host", as in Cilium', labelled('k8s:host=x'), [false, false]],
    ['a pod with a label "init" always is, as in Cilium', labelled('k8s:init=x'), [true, true]],
  ])('%s', (_sentence, labels, enforced) => {
    const policy = resolve(labels, everything);
    expect([policy.ingressEnforced, policy.egressEnforced]).toEqual(enforced);
  });

  test('only the node needs no entry to be reached from itself', () => {
    expect(resolve(Labels.parse(['reserved:host'])).mapState.has('ingress:1:0:0/0')).toBe(false);
  });
});

describe('the repository', () => {
  test('adds, replaces and deletes by kind, namespace and name, and raises its revision', () => {
    const repository = new PolicyRepository({ clusterName: 'default' });
    const ref = { kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'a' } as const;
    expect(repository.upsert(cnp('a', subject, { entities: ['all'] }))).toBe(2);
    expect(repository.upsert(networkPolicy('a', select(subject)))).toBe(3);
    expect(repository.rulesSelecting(DEATHSTAR)).toHaveLength(2);
    expect(repository.upsert(cnp('a', { class: 'other' }, { entities: ['all'] }))).toBe(4);
    expect(repository.rulesSelecting(DEATHSTAR).map(({ policy }) => policy.kind)).toEqual(['NetworkPolicy']);
    expect(repository.delete({ ...ref, name: 'b' })).toBe(4);
    expect(repository.delete({ ...ref, kind: 'NetworkPolicy' })).toBe(5);
    expect(repository.rulesSelecting(DEATHSTAR)).toEqual([]);
    expect(resolvePolicy(repository, DEATHSTAR, cache()).revision).toBe(5);
  });

  test('says which policies select an endpoint', () => {
    const repository = new PolicyRepository({ clusterName: 'default' });
    repository.upsert(cnp('a', subject, { endpoints: [] }));
    repository.upsert(cnp('b', { class: 'other' }, { entities: ['all'] }));
    repository.upsert(networkPolicy('c', select()));
    expect(repository.policiesSelecting(DEATHSTAR, 'ingress')).toEqual([
      { kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'a', specIndex: 0, position: at(5) },
      { kind: 'NetworkPolicy', namespace: 'default', name: 'c', specIndex: 0, position: at(1) },
    ]);
  });

  test('a detached policy leaves nothing in the selector cache', () => {
    const repository = new PolicyRepository({ clusterName: 'default' });
    repository.upsert(cnp('a', subject, { endpoints: empire, ports: [port(80), port(80, 'TCP', landing)] }));
    repository.upsert(cnp('b', subject, { entities: ['cluster'], ports: [port(80, 'ANY'), port(81, 'TCP', landing)] }));
    const selectorCache = cache();
    const [old, now] = [1, 2].map(() => resolvePolicy(repository, DEATHSTAR, selectorCache));
    const inUse = selectorCache.size;
    detachPolicy(old!, selectorCache);
    expect(selectorCache.size).toBe(inUse);
    detachPolicy(now!, selectorCache);
    expect([inUse > 0, selectorCache.size]).toEqual([true, 0]);
  });
});

test('a selector used by a policy follows the identities', () => {
  const repository = new PolicyRepository({ clusterName: 'default' });
  repository.upsert(cnp('a', subject, { endpoints: empire, ports: [port(80)] }));
  const selectorCache = cache();
  resolvePolicy(repository, DEATHSTAR, selectorCache);
  const updates = selectorCache.updateIdentities([[1004, pod({ org: 'empire', class: 'shuttle' })]], []);
  const keys = updates.map(({ selector }): EndpointSelector['key'] => selector.key);
  expect(keys).toEqual(['{"matchLabels":{"any:org":"empire","k8s:io.kubernetes.pod.namespace":"default"}}']);
  expect(verdict(resolvePolicy(repository, DEATHSTAR, selectorCache), 1004, 80)).toBe('allow');
});
