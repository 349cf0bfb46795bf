import { describe, expect, test } from 'vitest';
import {
  CompiledPolicy,
  decodeDiscoveryRequest,
  decodeDiscoveryResponse,
  decodeNetworkPolicy,
  encodeDiscoveryRequest,
  encodeDiscoveryResponse,
  encodeNetworkPolicy,
  NETWORK_POLICY_TYPE_URL,
  type NetworkPolicy,
  type PortNetworkPolicy,
  type PortNetworkPolicyRule,
  ProxyCore,
} from '../src/index.ts';
import { judge } from './judge.ts';
import { EMPIRE, httpRules, LANDING, PORT, policyOf, show } from './support.ts';

// An encoder of its own, so that the schema is held against the field numbers and not against itself.
const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const number = (field: number, value: number): number[] => [...varint(field << 3), ...varint(value)];
const block = (field: number, ...content: number[][]): number[] => {
  const body = content.flat();
  return [...varint((field << 3) | 2), ...varint(body.length), ...body];
};
const string = (field: number, value: string): number[] => block(field, [...Buffer.from(value)]);

const regexHeader = (name: string, regex: string): number[] =>
  block(1, string(1, name), block(13, block(5, string(2, regex))));
const httpRuleBlock = block(100, block(1, regexHeader(':method', 'GET'), regexHeader(':path', '/')));
const wire = new Uint8Array([
  ...string(1, '10.0.0.7'),
  ...number(2, 7),
  ...block(3, number(1, 80), block(3, string(5, 'origin'), block(7, varint(1001), varint(70000)), httpRuleBlock)),
  ...block(4, number(1, 53), number(2, 1), number(4, 60)),
]);
const decoded: NetworkPolicy = {
  endpointIps: ['10.0.0.7'],
  endpointId: 7,
  ingressPerPortPolicies: [
    {
      port: 80,
      rules: [{ name: 'origin', remotePolicies: [1001, 70000], httpRules: httpRules({ method: 'GET', path: '/' }) }],
    },
  ],
  egressPerPortPolicies: [{ port: 53, protocol: 'UDP', endPort: 60 }],
};

describe('wire format', () => {
  test('a NetworkPolicy has the bytes that its field numbers give', () => {
    expect([...encodeNetworkPolicy(decoded)]).toEqual([...wire]);
    expect(decodeNetworkPolicy(wire)).toEqual(decoded);
  });

  test('identities are read also when not packed', () => {
    const rule = block(3, number(7, 5), number(7, 6));
    const policy = decodeNetworkPolicy(new Uint8Array([...number(2, 7), ...block(3, rule)]));
    expect(policy.ingressPerPortPolicies![0]!.rules![0]!.remotePolicies).toEqual([5, 6]);
  });

  test('a DiscoveryResponse carries policies as Any', () => {
    const any = block(2, string(1, NETWORK_POLICY_TYPE_URL), block(2, [...wire]));
    const response = [...string(1, '9'), ...any, ...string(4, NETWORK_POLICY_TYPE_URL), ...string(5, '9')];
    expect([...encodeDiscoveryResponse('9', [decoded])]).toEqual(response);
    const back = { versionInfo: '9', nonce: '9', policies: [decoded] };
    expect(decodeDiscoveryResponse(new Uint8Array(response))).toEqual(back);
  });

  test('a NACK is a DiscoveryRequest with the last good version and an error', () => {
    const nack = { versionInfo: '8', responseNonce: '9', errorDetail: { code: 3, message: 'no' } };
    const status = block(6, number(1, 3), string(2, 'no'));
    const request = [...string(1, '8'), ...string(4, NETWORK_POLICY_TYPE_URL), ...string(5, '9'), ...status];
    expect([...encodeDiscoveryRequest(nack)]).toEqual(request);
    expect(decodeDiscoveryRequest(new Uint8Array(request))).toEqual(nack);
  });
});

const inRule = (rule: PortNetworkPolicyRule): NetworkPolicy => policyOf([rule]);
const inPort = (port: PortNetworkPolicy): NetworkPolicy => ({ ...policyOf([]), ingressPerPortPolicies: [port] });
const matcher = (header: object): NetworkPolicy =>
  inRule({ httpRules: { httpRules: [{ headers: [{ name: ':path', ...header }] }] } });
const RULE = 'ingress_per_port_policies[0].rules[0]';
const HEADER = `${RULE}.http_rules[0].headers[0]`;

const refused: [name: string, policy: NetworkPolicy, reason: string][] = [
  ['a deny verdict', inRule({ deny: true }), `${RULE}.deny: not modelled yet`],
  ['a pass verdict', inRule({ passPrecedence: 1 }), `${RULE}.pass_precedence: not modelled yet`],
  ['a precedence', inRule({ precedence: 1 }), `${RULE}.precedence: not modelled yet`],
  ['a listener of its own', inRule({ proxyId: 9 }), `${RULE}.proxy_id: not modelled yet`],
  ['a parser', inRule({ l7Proto: 'r2d2' }), `${RULE}.l7_proto: r2d2 is not modelled`],
  [
    'TLS that ends without a certificate',
    inRule({ downstreamTlsContext: {} }),
    `${RULE}.downstream_tls_context: missing certificate chain`,
  ],
  [
    'TLS to a server without a trusted CA',
    inRule({ upstreamTlsContext: {} }),
    `${RULE}.upstream_tls_context: missing trusted CA`,
  ],
  [
    'TLS that asks clients for certificates',
    inRule({ downstreamTlsContext: { tlsSdsSecret: 'a/b', validationContextSdsSecret: 'a/c' } }),
    `${RULE}.downstream_tls_context: certificates of clients are not modelled yet`,
  ],
  ['a server name that is none', inRule({ serverNames: ['a.b', 'c.'] }), `${RULE}.server_names[1]: "c." is no pattern`],
  ['no Kafka rules', inRule({ kafkaRules: {} }), `${RULE}.kafka_rules: empty`],
  ['generic rules', inRule({ l7Rules: {} }), `${RULE}.l7_rules: not modelled yet`],
  ['no HTTP rule in a set', inRule({ httpRules: {} }), `${RULE}.http_rules: empty`],
  [
    'header actions',
    inRule({ httpRules: { httpRules: [{ headerMatches: [{ name: '' }] }] } }),
    `${RULE}.http_rules[0].header_matches[0].name: missing`,
  ],
  [
    'a value that would begin another header line',
    inRule({ httpRules: { httpRules: [{ headerMatches: [{ name: 'a', value: 'b\r\nc: d' }] }] } }),
    `${RULE}.http_rules[0].header_matches[0].value: ends a line`,
  ],
  [
    'a name that is none',
    inRule({ httpRules: { httpRules: [{ headerMatches: [{ name: 'a b' }] }] } }),
    `${RULE}.http_rules[0].header_matches[0].name: no name of a header`,
  ],
  ['a deprecated match', matcher({ exactMatch: '/' }), `${HEADER}.exact_match: not modelled yet`],
  ['case folding', matcher({ stringMatch: { exact: '/', ignoreCase: true } }), `${HEADER}.string_match.ignore_case`],
  ['a string match of nothing', matcher({ stringMatch: {} }), `${HEADER}.string_match: no pattern`],
  [
    'an invalid regular expression',
    inRule({ httpRules: httpRules({ host: '(' }) }),
    `${HEADER}.string_match.safe_regex.regex: error parsing regexp: missing closing ): \`(\``,
  ],
  ['a range that ends before it starts', inPort({ port: 80, endPort: 79 }), '.end_port: 79 is below port 80'],
  ['a range that starts at port 0', inPort({ endPort: 79 }), '.end_port: a range cannot start at port 0'],
  ['a port above 65535', inPort({ port: 65536 }), '[0].port: 65536 is above 65535'],
  [
    'the same in the egress part',
    { ...LANDING, egressPerPortPolicies: [{ port: 65536 }] },
    'egress_per_port_policies[0]',
  ],
  ['no address', { ...LANDING, endpointIps: [] }, 'endpoint_ips: missing'],
  ['no endpoint', { ...LANDING, endpointId: 0 }, 'endpoint_id: missing'],
];

describe('discovery', () => {
  test.each(refused)('%s is refused by name', (_name, policy, reason) => {
    const answer = new ProxyCore({ seed: 1 }).applyPolicy(encodeDiscoveryResponse('1', [policy]));
    expect(answer).toEqual({ ack: false, reason: expect.stringContaining(reason) });
  });

  test('a NACK names version in force and nonce, and the last good policies stay', () => {
    const core = new ProxyCore({ seed: 1 });
    expect(core.discovery(encodeDiscoveryResponse('4', [LANDING]))).toEqual({ versionInfo: '4', responseNonce: '4' });
    const bad = encodeDiscoveryResponse('5', [{ ...LANDING, endpointId: 8 }, inRule({ deny: true })]);
    expect(core.discovery(bad)).toEqual({
      versionInfo: '4',
      responseNonce: '5',
      errorDetail: { code: 3, message: `NetworkPolicy of endpoint 7: ${RULE}.deny: not modelled yet` },
    });
    const client = { ingress: true, remoteIdentity: EMPIRE, localPort: PORT } as const;
    const ends = { source: { ip: 1, port: 1 }, destination: { ip: 2, port: 80 } };
    expect(core.open({ id: 1, endpointId: 7, ...client, ...ends }, 0n)).toEqual([]);
    expect(show(core.open({ id: 2, endpointId: 8, ...client, ...ends }, 0n))).toEqual(['Denied', 'resetDownstream']);
    core.applyPolicy(encodeDiscoveryResponse('6', []));
    expect(show(core.open({ id: 3, endpointId: 7, ...client, ...ends }, 0n))).toEqual(['Denied', 'resetDownstream']);
  });

  test('an endpoint that comes twice is refused', () => {
    const answer = new ProxyCore({ seed: 1 }).applyPolicy(encodeDiscoveryResponse('1', [LANDING, LANDING]));
    expect(answer).toEqual({ ack: false, reason: 'endpoint_id: 7 comes twice' });
  });

  test('bytes that are no message are refused', () => {
    const answer = new ProxyCore({ seed: 1 }).applyPolicy(new Uint8Array([0xff, 0xff, 0xff]));
    expect(answer.ack).toBe(false);
  });

  test('another kind of resource is refused', () => {
    const other = new Uint8Array(block(2, string(1, 'type.googleapis.com/cilium.NetworkPolicyHosts')));
    const answer = new ProxyCore({ seed: 1 }).applyPolicy(other);
    expect(answer).toEqual({ ack: false, reason: expect.stringContaining('resources[0].type_url') });
  });

  test('string matches other than regular expressions count', () => {
    const compiled = (stringMatch: object) => new CompiledPolicy(matcher({ stringMatch }));
    const pass = (stringMatch: object, path: string) =>
      judge(compiled(stringMatch), { method: 'GET', path, authority: '' }, EMPIRE, PORT).allowed;
    expect([pass({ exact: '/a' }, '/a'), pass({ exact: '/a' }, '/ab')]).toEqual([true, false]);
    expect([pass({ prefix: '/a' }, '/ab'), pass({ prefix: '/a' }, '/ba')]).toEqual([true, false]);
    expect([pass({ suffix: 'b' }, '/ab'), pass({ suffix: 'b' }, '/ba')]).toEqual([true, false]);
    expect([pass({ contains: 'ab' }, '/xabx'), pass({ contains: 'ab' }, '/axb')]).toEqual([true, false]);
  });
});
