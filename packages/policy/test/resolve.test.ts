import { Labels } from '@ciliate/labels';
import { describe, expect, test } from 'vitest';
import { PolicyConflictError } from '../src/conflict.ts';
import { lookupMapState } from '../src/lookup.ts';
import { SelectorCache } from '../src/selectorcache.ts';
import { formatKey } from '../src/types/key.ts';
import {
  A,
  B,
  entity,
  http,
  inWords,
  l7,
  listener,
  type Options,
  type PeerRuleSpec,
  PODS,
  pod,
  ports,
  RESERVED,
  type RuleSpec,
  resolve,
  SUBJECT,
  select,
  tcp,
  verdict,
} from './rules.ts';

const a = [select({ app: 'a' })];
const b = [select({ app: 'b' })];
const all = [entity('all')];
const port80 = [ports([tcp(80)])];
const get80 = [ports([tcp(80)], http('GET'))];

/** The entries of one direction but that of the node. */
const entries = (specs: readonly RuleSpec[], options: Options = {}, egress = false): string[] =>
  [...resolve(specs, options).mapState]
    .filter(({ key }) => key.egress === egress && key.identity !== 1)
    .map((entry) => `${formatKey(entry.key).split(':').slice(1).join(':')} ${inWords(entry)}`)
    .sort();

describe('what a rule lets in', () => {
  test.each<[sentence: string, rule: PeerRuleSpec, want: string[]]>([
    ['peers without ports may do everything', { endpoints: a }, [`${A}:0:0/0 allow`]],
    ['peers with ports may use these', { endpoints: a, toPorts: port80 }, [`${A}:6:80/16 allow`]],
    ['ports without peers are open to everybody', { toPorts: port80 }, ['0:6:80/16 allow']],
    ['an entry with neither lets nobody in', {}, []],
    [
      'a list of peers that is there and empty lets nobody in, whatever the ports',
      { nobody: true, toPorts: port80 },
      [],
    ],
    ['a port rule without ports lets nobody in', { endpoints: a, toPorts: [ports([])] }, []],
    ['selectors that select nobody let nobody in', { endpoints: [select({ app: 'none' })], toPorts: port80 }, []],
    [
      'one peer that is everybody makes the others needless',
      { endpoints: a, others: all, toPorts: port80 },
      ['0:6:80/16 allow'],
    ],
    [
      'protocol ANY is TCP, UDP and SCTP, and never ICMP',
      { endpoints: a, toPorts: [ports([{ port: 80, endPort: 0, protocol: 'ANY' }])] },
      [`${A}:132:80/16 allow`, `${A}:17:80/16 allow`, `${A}:6:80/16 allow`],
    ],
    ['port 0 is every port of the protocol', { endpoints: a, toPorts: [ports([tcp(0)])] }, [`${A}:6:0/0 allow`]],
    [
      'an ICMP type is a port',
      { endpoints: a, toPorts: [ports([{ port: 8, endPort: 0, protocol: 'ICMP' }])] },
      [`${A}:1:8/16 allow`],
    ],
    [
      'ICMP type 0 is every type',
      { endpoints: a, toPorts: [ports([{ port: 0, endPort: 0, protocol: 'ICMPV6' }])] },
      [`${A}:58:0/0 allow`],
    ],
    [
      'a range is split into prefixes',
      { endpoints: a, toPorts: [ports([tcp(80, 82)])] },
      [`${A}:6:80/15 allow`, `${A}:6:82/16 allow`],
    ],
  ])('%s', (_sentence, one, want) => {
    expect(entries([{ ingress: [one] }])).toEqual(want);
    const egress = [{ egress: [one] }];
    expect(entries(egress, {}, true)).toEqual(want);
  });
});

describe('named ports', () => {
  const web = [ports([tcp('web')])];
  const own = [{ name: 'web', protocol: 'TCP', port: 8080 }] as const;
  const other = [{ name: 'web', protocol: 'TCP', port: 80 }] as const;
  test.each<[sentence: string, egress: boolean, options: Options, want: string[]]>([
    ['of ingress are the endpoint’s own', false, { namedPorts: own, pods: [other] }, ['0:6:8080/16 allow']],
    ['of egress are those of all pods', true, { namedPorts: own, pods: [other] }, ['0:6:80/16 allow']],
    ['of egress mean nothing if the pods do not agree', true, { pods: [own, other] }, []],
    ['that nobody has mean nothing', false, { pods: [other] }, []],
  ])('%s', (_sentence, egress, options, want) => {
    const rules = [{ toPorts: web }];
    expect(entries([egress ? { egress: rules } : { ingress: rules }], options, egress)).toEqual(want);
  });

  test('may begin a range', () => {
    const rules = [{ ingress: [{ toPorts: [ports([tcp('web', 8083)])] }] }];
    expect(entries(rules, { namedPorts: own })).toEqual(['0:6:8080/14 allow']);
  });
});

test('what everybody may do is not said again for an identity, except where no port is given', () => {
  const both = (port: number): string[] =>
    entries([{ ingress: [{ endpoints: a, toPorts: [ports([tcp(port)])] }, { toPorts: [ports([tcp(port)])] }] }]);
  expect(both(80)).toEqual(['0:6:80/16 allow']);
  expect(both(0)).toEqual(['0:6:0/0 allow', `${A}:6:0/0 allow`]);
});

describe('requirements', () => {
  const v1 = [select({ version: '1' })];
  const pods: Options = {
    cache: new SelectorCache([...RESERVED, [A, pod({ app: 'a', version: '1' })], [B, pod({ app: 'a' })]]),
  };
  test.each<[sentence: string, rules: RuleSpec[], want: string[]]>([
    [
      'hold for the peers of every rule',
      [{ ingress: [{ requires: v1 }] }, { ingress: [{ endpoints: a }] }],
      [`${A}:0:0/0 allow`],
    ],
    [
      'not for entities and prefixes',
      [{ ingress: [{ requires: v1 }, { others: [entity('world')] }] }],
      ['2:0:0/0 allow'],
    ],
    [
      'of an allow not for a deny',
      [{ ingress: [{ requires: v1 }], ingressDeny: [{ endpoints: a }] }],
      [`${A}:0:0/0 deny`, `${B}:0:0/0 deny`],
    ],
    [
      'with ports and no peers open the ports to everybody',
      [{ ingress: [{ requires: v1, toPorts: port80 }] }],
      ['0:6:80/16 allow'],
    ],
    [
      'of the other direction do not count',
      [{ egress: [{ requires: v1 }], ingress: [{ endpoints: a }] }],
      [`${A}:0:0/0 allow`, `${B}:0:0/0 allow`],
    ],
  ])('%s', (_sentence, rules, want) => {
    expect(entries(rules, pods)).toEqual(want);
  });
});

describe('redirects', () => {
  test.each<[sentence: string, toPorts: PeerRuleSpec['toPorts'], want: string]>([
    ['HTTP', [ports([tcp(80)], http('GET'))], 'redirect http 27'],
    [
      'Kafka',
      [ports([tcp(80)], l7({ kafka: [{ role: '', apiKey: '', apiVersion: '', clientID: '', topic: 't' }] }))],
      'redirect kafka 22',
    ],
    ['a parser of proxylib', [ports([tcp(80)], l7({ l7proto: 'r2d2' }))], 'redirect proxylib 17'],
    ['server names', [ports([tcp(80)], { serverNames: ['example.com'] })], 'redirect tls 12'],
    ['DNS', [ports([tcp(80)], l7({ dns: [{ matchName: 'example.com', matchPattern: '' }] }))], 'redirect dns 7'],
    ['a listener', [ports([tcp(80)], listener('l'))], 'redirect crd 2'],
    ['a listener with a priority', [ports([tcp(80)], listener('l', 1))], 'redirect crd 127'],
    [
      'server names with HTTP',
      [ports([tcp(80)], { serverNames: ['example.com'], ...http('GET') })],
      'redirect http 27',
    ],
    [
      'a listener beats what else is said',
      [ports([tcp(80)], { ...listener('l', 50), serverNames: ['example.com'] })],
      'redirect crd 78',
    ],
  ])('%s', (_sentence, toPorts, want) => {
    expect(verdict(resolve([{ ingress: [{ endpoints: a, toPorts: toPorts! }] }]), A, 80)).toBe(want);
  });

  test('DNS is looked for on every protocol, HTTP on TCP alone', () => {
    const any = [{ port: 53, endPort: 0, protocol: 'ANY' }] as const;
    const dns = resolve([{ egress: [{ toPorts: [ports(any, l7({ dns: [{ matchName: 'a', matchPattern: '' }] }))] }] }]);
    const web = resolve([{ egress: [{ toPorts: [ports(any, http('GET'))] }] }]);
    const words = [dns, web].map((policy) =>
      [6, 17, 132].map((protocol) => verdict(policy, A, 53, { egress: true, protocol })),
    );
    expect(words).toEqual([Array(3).fill('redirect dns 7'), ['redirect http 27', 'allow', 'allow']]);
  });

  test('a listener is named by the endpoint’s namespace, or by none if it belongs to the whole cluster', () => {
    const named = (kind: string): string => {
      const one = { listener: { envoyConfig: { kind, name: 'config' }, name: 'l', priority: 0 } };
      const policy = resolve([{ ingress: [{ endpoints: a, toPorts: [ports([tcp(80)], one)] }] }]);
      return lookupMapState(policy.mapState, { egress: false, identity: A, protocol: 6, dport: 80 })!.listener;
    };
    expect([named('CiliumEnvoyConfig'), named('CiliumClusterwideEnvoyConfig')]).toEqual([
      'default/config/l',
      '/config/l',
    ]);
  });
});

describe('HTTP rules of one port', () => {
  const methods = (rules: RuleSpec[], options: Options = {}): string[][] =>
    resolve(rules, options).redirects.flatMap(({ selectors }) =>
      selectors.map((selector) => selector.l7.http.map(({ method }) => method || '*')),
    );
  test.each<[sentence: string, rules: RuleSpec[], want: string[][]]>([
    [
      'of equal selectors are joined, equal ones once',
      [
        {
          ingress: [
            { endpoints: a, toPorts: [ports([tcp(80)], http('GET', 'PUT'))] },
            { endpoints: a, toPorts: [ports([tcp(80)], http('PUT', 'HEAD'))] },
          ],
        },
      ],
      [['GET', 'PUT', 'HEAD']],
    ],
    [
      'get a rule for everything where the same selector is allowed plainly',
      [
        {
          ingress: [
            { endpoints: a, toPorts: get80 },
            { endpoints: a, toPorts: port80 },
          ],
        },
      ],
      [['GET', '*']],
    ],
    [
      'in either order',
      [
        {
          ingress: [
            { endpoints: a, toPorts: port80 },
            { endpoints: a, toPorts: get80 },
          ],
        },
      ],
      [['GET', '*']],
    ],
    [
      'stay as they are beside another selector that is allowed plainly',
      [
        {
          ingress: [
            { endpoints: a, toPorts: get80 },
            { endpoints: b, toPorts: port80 },
          ],
        },
      ],
      [['GET'], []],
    ],
    [
      'do not hold for the node where they select it with others',
      [{ ingress: [{ others: all, toPorts: get80 }] }],
      [['GET'], []],
    ],
    ['hold for the node where they name it', [{ ingress: [{ others: [entity('host')], toPorts: get80 }] }], [['GET']]],
    [
      'are nobody’s if their selectors select nobody',
      [{ ingress: [{ endpoints: [select({ app: 'x' })], toPorts: get80 }] }],
      [],
    ],
    [
      'let everything pass where nothing is dropped by default',
      [{ ingress: [{ endpoints: a, toPorts: get80 }], defaultDeny: false }],
      [['GET', '*']],
    ],
    [
      'do not, if another rule drops by default',
      [{ ingress: [{ endpoints: a, toPorts: get80 }], defaultDeny: false }, { ingress: [{ endpoints: b }] }],
      [['GET']],
    ],
  ])('%s', (_sentence, rules, want) => {
    expect(methods(rules)).toEqual(want);
  });

  test('hold for the node, too, where it is not always let in', () => {
    expect(methods([{ ingress: [{ others: all, toPorts: get80 }] }], { config: { allowLocalhost: 'policy' } })).toEqual(
      [['GET']],
    );
  });
});

describe('rules that cannot be had together', () => {
  const on80 = (more: Parameters<typeof ports>[1], auth?: PeerRuleSpec['authentication']): PeerRuleSpec => ({
    endpoints: a,
    toPorts: [ports([tcp(80)], more)],
    authentication: auth,
  });
  const kafka = l7({ kafka: [{ role: '', apiKey: '', apiVersion: '', clientID: '', topic: 't' }] });
  const secret = (name: string) => ({
    terminatingTLS: { secret: { namespace: 'default', name }, trustedCA: '', certificate: '', privateKey: '' },
  });
  test.each<[sentence: string, one: PeerRuleSpec, other: PeerRuleSpec, message: RegExp]>([
    ['two parsers', on80(http('GET')), on80(kafka), /parsers http and kafka/],
    ['a parser and a listener', on80(http('GET')), on80(listener('l')), /parsers http and crd/],
    [
      'two listeners of one priority',
      on80(listener('l')),
      on80(listener('m')),
      /listeners \/config\/l and \/config\/m have the same priority/,
    ],
    ['two modes of authentication', on80({}, 'required'), on80({}, 'disabled'), /authentication modes/],
    [
      'two secrets',
      on80(secret('s')),
      on80(secret('t')),
      /terminating TLS contexts .* default\/s and secret default\/t/,
    ],
    [
      'server names with rules, where TLS is not terminated',
      on80(http('GET')),
      on80({ serverNames: ['x'] }),
      /need TLS to be terminated/,
    ],
  ])('%s', (_sentence, one, other, message) => {
    const cache = new SelectorCache([...RESERVED, ...PODS]);
    const both = () =>
      resolve(
        [
          { name: 'one', ingress: [one] },
          { name: 'other', ingress: [other] },
        ],
        { cache },
      );
    expect(both).toThrow(PolicyConflictError);
    expect(both).toThrow(message);
    expect(both).toThrow(/^p\.yaml:10:3: CiliumNetworkPolicy default\/other: ingress\[0\]: /);
    expect(cache.size).toBe(0);
  });

  test.each<[sentence: string, one: PeerRuleSpec, other: PeerRuleSpec, want: string]>([
    [
      'two listeners of different priority: the smaller number wins',
      on80(listener('l', 5)),
      on80(listener('m', 3)),
      'redirect crd 125',
    ],
    [
      'server names and the same with HTTP and a certificate',
      on80({ serverNames: ['x'] }),
      on80({ ...secret('s'), ...http('GET') }),
      'redirect http 27',
    ],
    ['one that asks for authentication and one that does not care', on80({}, 'required'), on80({}), 'allow auth 1'],
    ['HTTP rules and a plain allow', on80(http('GET')), on80({}), 'redirect http 27'],
  ])('but not %s', (_sentence, one, other, want) => {
    expect(verdict(resolve([{ ingress: [one, other] }]), A, 80)).toBe(want);
    expect(verdict(resolve([{ ingress: [other, one] }]), A, 80)).toBe(want);
  });

  test('peers that nobody is are never in conflict', () => {
    const none = { others: [entity('none')] };
    const fqdn = (name: string) => [{ matchName: name, matchPattern: '' }];
    const rules = [
      {
        egress: [
          { ...on80(http('GET')), ...none, endpoints: [], fqdns: fqdn('a') },
          { ...on80(kafka), ...none, endpoints: [], fqdns: fqdn('b') },
        ],
      },
    ];
    expect(() => resolve(rules)).not.toThrow();
  });

  test('a listener of a namespace, for an endpoint that has none', () => {
    const one = { listener: { envoyConfig: { kind: 'CiliumEnvoyConfig', name: 'config' }, name: 'l', priority: 0 } };
    const subject = { identity: 5, labels: Labels.parse(['reserved:init']) };
    expect(() => resolve([{ ingress: [on80(one)] }], { subject })).toThrow(/has no namespace/);
  });
});

describe('denies', () => {
  test.each<[sentence: string, rules: RuleSpec[], want: string[]]>([
    [
      'a deny wins over an allow of the same',
      [{ ingress: [{ endpoints: a }], ingressDeny: [{ endpoints: a }] }],
      [`${A}:0:0/0 deny`],
    ],
    [
      'in another policy',
      [{ ingressDeny: [{ endpoints: a }] }, { ingress: [{ endpoints: a, toPorts: get80 }] }],
      [`${A}:0:0/0 deny`],
    ],
    [
      'a deny of a port leaves the rest',
      [{ ingress: [{ endpoints: a }], ingressDeny: [{ toPorts: port80 }] }],
      ['0:6:80/16 deny', `${A}:0:0/0 allow`],
    ],
    ['alone it drops everything else, too', [{ ingressDeny: [{ endpoints: a }] }], [`${A}:0:0/0 deny`]],
    [
      'unless it says that it does not',
      [{ ingressDeny: [{ endpoints: a }], defaultDeny: false }],
      ['0:0:0/0 allow', `${A}:0:0/0 deny`],
    ],
  ])('%s', (_sentence, rules, want) => {
    expect(entries(rules)).toEqual(want);
  });
});

describe('authentication', () => {
  test.each<[sentence: string, rules: PeerRuleSpec[], dport: number, want: string]>([
    ['is asked for', [{ endpoints: a, authentication: 'required' }], 80, 'allow auth 1'],
    [
      'is inherited by the peers’ ports',
      [
        { endpoints: a, authentication: 'required' },
        { endpoints: a, toPorts: port80 },
      ],
      80,
      'allow auth 1 derived',
    ],
    [
      'is taken over from what everybody must',
      [
        { authentication: 'required', others: all },
        { endpoints: a, toPorts: port80 },
      ],
      80,
      'allow auth 1 derived',
    ],
    [
      'may be switched off for a port',
      [
        { endpoints: a, authentication: 'required' },
        { endpoints: a, toPorts: port80, authentication: 'disabled' },
      ],
      80,
      'allow',
    ],
  ])('%s', (_sentence, rules, dport, want) => {
    expect(verdict(resolve([{ ingress: rules }]), A, dport)).toBe(want);
    expect(verdict(resolve([{ ingress: rules.toReversed() }]), A, dport)).toBe(want);
  });
});

describe('enforcement', () => {
  const withLabel = (label: string) => ({
    identity: 1001,
    labels: Labels.parse([...SUBJECT.labels.toStrings(), label]),
  });
  const init = { identity: 5, labels: Labels.parse(['reserved:init']) };
  const host = { identity: 1, labels: Labels.parse(['reserved:host']) };
  const ingress: RuleSpec[] = [{ ingress: [{}] }];
  test.each<[sentence: string, rules: RuleSpec[], options: Options, enforced: [ingress: boolean, egress: boolean]]>([
    ['without rules nothing is enforced', [], {}, [false, false]],
    ['a rule about a direction enforces it', ingress, {}, [true, false]],
    ['a deny does, too', [{ egressDeny: [{}] }], {}, [false, true]],
    ['a rule that is not default deny does, too', [{ ingress: [{}], defaultDeny: false }], {}, [true, false]],
    ['never is never', ingress, { config: { enforcement: 'never' } }, [false, false]],
    ['always is always', [], { config: { enforcement: 'always' } }, [true, true]],
    ['an endpoint without labels yet always is', [], { subject: init }, [true, true]],
    ['the node never is', ingress, { subject: host }, [false, false]],
    ['nor is a pod with a label "host", as in Cilium', ingress, { subject: withLabel('k8s:host=x') }, [false, false]],
    ['a pod with a label "init" always is, as in Cilium', [], { subject: withLabel('k8s:init=x') }, [true, true]],
  ])('%s', (_sentence, rules, options, enforced) => {
    const policy = resolve(rules, options);
    expect([policy.ingressEnforced, policy.egressEnforced]).toEqual(enforced);
  });

  test.each<[sentence: string, rules: RuleSpec[], options: Options, want: string]>([
    ['the node is let in', ingress, {}, 'allow'],
    [
      'not where the configuration leaves it to policy',
      ingress,
      { config: { allowLocalhost: 'policy' } },
      'default deny',
    ],
    ['not where a rule denies it', [{ ingressDeny: [{ others: [entity('host')] }] }], {}, 'deny'],
    ['not where a rule denies everybody', [{ ingressDeny: [{ others: all }] }], {}, 'deny'],
    [
      'it keeps the redirect that names it',
      [{ ingress: [{ others: [entity('host')], toPorts: get80 }] }],
      {},
      'redirect http 27',
    ],
    [
      'by a rule for everything',
      [{ ingress: [{ others: all, authentication: 'required' }] }],
      {},
      'allow auth 1 derived',
    ],
  ])('%s', (_sentence, rules, options, want) => {
    expect(verdict(resolve(rules, options), 1, 80)).toBe(want);
  });

  test('only the node needs no entry to be reached from itself', () => {
    expect([...resolve([], { subject: host }).mapState].map(({ key }) => formatKey(key))).toEqual([
      'ingress:0:0:0/0',
      'egress:0:0:0/0',
    ]);
  });
});

describe('an entry tells where it comes from', () => {
  const namesOf = (rules: RuleSpec[], identity: number, dport: number): string[] =>
    lookupMapState(resolve(rules).mapState, { egress: false, identity, protocol: 6, dport })!.origins.map(
      ({ kind, name, list, ruleIndex }) => (kind === 'implicit' ? name : `${name} ${list}[${ruleIndex}]`),
    );
  test.each<[sentence: string, rules: RuleSpec[], identity: number, want: string[]]>([
    [
      'each of the rules that allow it',
      [
        { name: 'x', ingress: [{ others: [entity('host')] }, { endpoints: a, toPorts: port80 }] },
        {
          name: 'y',
          ingress: [
            { endpoints: [select({ app: 'a', 'k8s:app': 'a' })], toPorts: port80 },
            { endpoints: a, toPorts: [ports([tcp(80), tcp(80)])] },
          ],
        },
      ],
      A,
      ['x ingress[1]', 'y ingress[1]', 'y ingress[0]'],
    ],
    [
      'the node may always come in, by itself and by rules',
      [{ name: 'x', ingress: [{ others: [entity('host')] }] }],
      1,
      ['x ingress[0]', 'allow-localhost-ingress'],
    ],
    ['without policy everything is allowed', [], A, ['allow-any-ingress']],
    ['where no rule drops by default', [{ name: 'x', ingress: [{}], defaultDeny: false }], A, ['allow-any-ingress']],
    ['a deny', [{ name: 'x', ingress: [{ endpoints: a }], ingressDeny: [{ others: all }] }], A, ['x ingressDeny[0]']],
  ])('%s', (_sentence, rules, identity, want) => {
    expect(namesOf(rules, identity, 80)).toEqual(want);
  });
});
