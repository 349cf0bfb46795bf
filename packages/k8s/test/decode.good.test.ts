import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { decodeObjects, type K8sObject, positionOf } from '../src/index.ts';
import { cidrRule, entry, http, l7, portRule, rule } from './shapes.ts';
import { cnp, everything, ingress, netpol, pod, service, slices } from './texts.ts';

const at = (line: number, column: number) => ({ file: 'x.yaml', line, column });
const decode = (text: string): K8sObject[] => decodeObjects(text, 'x.yaml');
const NOTHING = { matchLabels: {}, matchExpressions: [] };
const web = { matchLabels: { app: 'web' }, matchExpressions: [] };

test('one of everything', () => {
  const meta = { namespace: 'shop', labels: {}, annotations: {} };
  expect(decode(everything)).toStrictEqual([
    {
      kind: 'Namespace',
      position: at(2, 1),
      metadata: { name: 'shop', namespace: '', labels: { 'kubernetes.io/metadata.name': 'shop' }, annotations: {} },
    },
    {
      kind: 'Pod',
      position: at(11, 1),
      metadata: {
        ...meta,
        name: 'web-1',
        labels: { app: 'web' },
        annotations: { 'kubectl.kubernetes.io/restartedAt': '2025-05-01' },
      },
      spec: {
        nodeName: 'node-1',
        serviceAccountName: 'seller',
        containers: [
          {
            name: 'nginx',
            ports: [
              { name: 'http', containerPort: 8080, protocol: 'TCP' },
              { name: undefined, containerPort: 53, protocol: 'UDP' },
            ],
          },
        ],
      },
      status: { podIP: '10.0.1.7', podIPs: ['10.0.1.7'], hostIP: '192.168.1.1', hostIPs: ['192.168.1.1'] },
    },
    {
      kind: 'Service',
      position: at(36, 1),
      metadata: { ...meta, name: 'web', labels: { app: 'web' } },
      spec: {
        type: 'ClusterIP',
        ...{ clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ipFamilies: ['IPv4'], externalIPs: [] },
        selector: { app: 'web' },
        ports: [
          { name: 'http', port: 80, targetPort: 'http', protocol: 'TCP', nodePort: undefined },
          { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP', nodePort: undefined },
        ],
        ...{ externalTrafficPolicy: 'Cluster', internalTrafficPolicy: 'Cluster' },
        ...{ sessionAffinity: undefined, loadBalancerSourceRanges: [] },
      },
      status: { loadBalancerIPs: [] },
    },
    {
      kind: 'NetworkPolicy',
      position: at(49, 1),
      metadata: { ...meta, name: 'np' },
      spec: {
        podSelector: web,
        policyTypes: ['Ingress'],
        ingress: [
          {
            from: [
              {
                podSelector: NOTHING,
                namespaceSelector: {
                  matchLabels: {},
                  matchExpressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }],
                },
                ipBlock: undefined,
              },
              { podSelector: undefined, namespaceSelector: NOTHING, ipBlock: undefined },
            ],
            ports: [
              { port: 80, protocol: undefined, endPort: undefined },
              { port: undefined, protocol: 'UDP', endPort: undefined },
            ],
          },
          { from: undefined, ports: undefined },
        ],
        egress: undefined,
      },
    },
    {
      kind: 'CiliumNetworkPolicy',
      position: at(64, 1),
      metadata: { ...meta, name: 'cnp' },
      spec: rule({
        description: 'who may buy',
        endpointSelector: { matchLabels: { 'k8s:app': 'web' }, matchExpressions: [] },
        ingress: [
          entry({
            endpoints: [{ matchLabels: { app: 'client' }, matchExpressions: [] }, NOTHING],
            toPorts: [
              portRule({
                ports: [
                  { port: '80', protocol: 'TCP', endPort: 0 },
                  { port: '8080', protocol: 'tcp', endPort: 0 },
                ],
                rules: l7({ http: [http({ method: 'GET', path: '/items/.*' })] }),
              }),
            ],
          }),
          entry({ entities: ['cluster', 'remote-node'], toPorts: [portRule({ ports: [] }), portRule({})] }),
          entry({ endpoints: [] }),
        ],
      }),
      specs: [
        rule({
          endpointSelector: {
            matchLabels: {},
            matchExpressions: [{ key: 'reserved:init', operator: 'Exists', values: [] }],
          },
          ingress: [],
        }),
      ],
    },
    {
      kind: 'CiliumClusterwideNetworkPolicy',
      position: at(92, 1),
      metadata: { ...meta, namespace: '', name: 'ccnp' },
      spec: rule({
        nodeSelector: { matchLabels: { a: 'b' }, matchExpressions: [] },
        enableDefaultDeny: { ingress: undefined, egress: false },
        labels: [
          { key: 'team', value: 'a', source: 'k8s' },
          { key: 'b', value: 'c', source: 'k8s' },
        ],
        log: { value: 'seen' },
        ingressDeny: [
          entry({
            cidrSet: [cidrRule({ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }), cidrRule({ cidrGroupRef: 'offices' })],
            requires: [NOTHING],
            icmps: [
              {
                fields: [
                  { family: 'IPv6', type: 'EchoRequest' },
                  { family: '', type: 8 },
                ],
              },
            ],
          }),
        ],
        egress: [
          entry({
            fqdns: [{ matchName: '', matchPattern: '*.io' }],
            services: [
              { k8sService: { serviceName: 'a', namespace: 'b' }, k8sServiceSelector: undefined },
              { k8sService: undefined, k8sServiceSelector: { selector: NOTHING, namespace: '' } },
            ],
            groups: [{ aws: { region: 'x' } }],
            authentication: { mode: 'required' },
            toPorts: [
              portRule({
                ports: [
                  { port: 'http', protocol: 'ANY', endPort: 0 },
                  { port: '1', protocol: '', endPort: 9 },
                ],
                serverNames: ['a.io'],
                listener: { name: 'l', priority: 5, envoyConfig: { kind: 'CiliumEnvoyConfig', name: 'e' } },
                originatingTLS: {
                  secret: { namespace: '', name: 's' },
                  trustedCA: 'ca',
                  certificate: '',
                  privateKey: '',
                },
                rules: l7({
                  kafka: [{ role: 'produce', apiKey: '', apiVersion: '', clientID: '', topic: 't' }],
                  l7proto: 'p',
                  l7: [{ cmd: 'get' }],
                  dns: [{ matchName: 'a.io', matchPattern: '' }],
                  http: [
                    http({
                      headers: ['X'],
                      headerMatches: [
                        { mismatch: 'LOG', name: 'x-a', secret: { namespace: '', name: 's' }, value: '' },
                      ],
                    }),
                  ],
                }),
              }),
            ],
          }),
        ],
      }),
      specs: undefined,
    },
    {
      kind: 'CiliumCIDRGroup',
      position: at(121, 1),
      metadata: { ...meta, namespace: '', name: 'offices', labels: { kind: 'office' } },
      spec: { externalCIDRs: ['192.0.2.0/24'] },
    },
    {
      kind: 'EndpointSlice',
      position: at(126, 1),
      metadata: { ...meta, namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [
        {
          addresses: ['10.0.1.7'],
          conditions: { ready: undefined, serving: undefined, terminating: undefined },
          nodeName: undefined,
        },
      ],
      ports: [],
    },
    {
      kind: 'Node',
      position: at(133, 1),
      metadata: { ...meta, namespace: '', name: 'worker', labels: { tier: 'db' } },
      status: {
        addresses: [
          { type: 'InternalIP', ip: '192.168.0.2' },
          { type: 'ExternalIP', ip: '2001:db8::2' },
        ],
      },
    },
    {
      kind: 'CiliumNode',
      position: at(140, 1),
      metadata: { ...meta, namespace: '', name: 'worker' },
      spec: {
        addresses: [{ type: 'CiliumInternalIP', ip: '10.0.0.1' }],
        health: ['10.0.0.2'],
        ingress: ['10.0.0.3', 'fd00::3'],
      },
    },
  ]);
});

test('what agents tell each other: identities and endpoints', () => {
  const [identity, endpoint] = decode(`
apiVersion: cilium.io/v2
kind: CiliumIdentity
metadata: { name: "300", annotations: { io.cilium.heartbeat: "2025-05-29T12:00:00Z" } }
security-labels: { "k8s:app": web, "k8s:b": "" }
---
apiVersion: cilium.io/v2
kind: CiliumEndpoint
metadata: { name: web }
status:
  id: 7
  identity: { id: 300, labels: ["k8s:app=web"] }
  networking: { node: 192.168.1.9, addressing: [{ ipv4: 10.0.9.1, ipv6: "fd00::9" }] }
  named-ports: [{ name: http, port: 80, protocol: TCP }]
  state: ready
`);
  expect(identity).toMatchObject({
    metadata: { name: '300', namespace: '', annotations: { 'io.cilium.heartbeat': '2025-05-29T12:00:00Z' } },
    securityLabels: { 'k8s:app': 'web', 'k8s:b': '' },
  });
  expect(endpoint).toMatchObject({
    metadata: { name: 'web', namespace: 'default' },
    status: {
      ...{ id: 7, identity: 300, node: '192.168.1.9', addresses: ['10.0.9.1', 'fd00::9'] },
      namedPorts: [{ name: 'http', port: 80, protocol: 'TCP' }],
    },
  });
});

test('a service that everybody reaches, and who serves it', () => {
  const [balanced] = decode(
    service(`  type: LoadBalancer
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, "fd00::1"]
  externalIPs: [198.51.100.1]
  externalTrafficPolicy: Local
  loadBalancerSourceRanges: [192.0.2.1/24]
  sessionAffinity: ClientIP
  ports: [{port: 80, nodePort: 30080, protocol: SCTP}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.1}, {hostname: a.example}]}}
`),
  );
  expect(balanced).toMatchObject({
    spec: {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.1', 'fd00::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      externalIPs: ['198.51.100.1'],
      externalTrafficPolicy: 'Local',
      loadBalancerSourceRanges: ['192.0.2.1/24'],
      sessionAffinity: { timeoutSeconds: 10_800 },
      selector: undefined,
      ports: [{ port: 80, targetPort: 80, nodePort: 30_080, protocol: 'SCTP' }],
    },
    status: { loadBalancerIPs: ['203.0.113.1'] },
  });
  const [headless] = decode(service('  clusterIP: None\n  selector: {a: b}\n'));
  expect(headless).toMatchObject({ spec: { clusterIP: 'None', clusterIPs: [], ipFamilies: ['IPv4'], ports: [] } });
  const [slice] = decode(
    slices(
      'IPv6',
      '{addresses: ["fd00::7"], nodeName: node-2, conditions: {ready: false, serving: true, terminating: true}}',
    ),
  );
  expect(slice).toMatchObject({
    addressType: 'IPv6',
    endpoints: [
      { addresses: ['fd00::7'], nodeName: 'node-2', conditions: { ready: false, serving: true, terminating: true } },
    ],
    ports: [{ name: '', port: 80, protocol: 'TCP' }],
  });
});

const places: [path: string, line: number, column: number][] = [
  ['spec', 70, 3],
  ['spec.endpointSelector.matchLabels["k8s:app"]', 72, 30],
  ['spec.ingress[0].fromEndpoints[1]', 76, 11],
  ['spec.ingress[0].toPorts[0].ports[1].protocol', 81, 40],
  ['spec.ingress[0].toPorts[0].rules.http[0].host', 84, 17],
  ['spec.ingress[7].toPorts', 74, 5],
  ['specs[0].ingress', 90, 14],
];
test.each(places)('the position of %s, or of what is nearest to it', (path, line, column) => {
  const policy = decode(everything).find(({ kind }) => kind === 'CiliumNetworkPolicy')!;
  expect(positionOf(policy, path)).toEqual(at(line, column));
});

test('the position of a field behind an alias; an object that came from no text has its own only', () => {
  const [object] = decode(pod('  labels: &l {a: b}\n  annotations: *l'));
  expect(positionOf(object!, 'metadata.annotations.a')).toEqual(at(5, 18));
  expect(positionOf({ ...object! }, 'metadata.annotations.a')).toEqual(object!.position);
});

/** Without positions. */
const bare = (objects: K8sObject[]): unknown =>
  JSON.parse(JSON.stringify(objects, (key, value) => (key === 'position' ? undefined : value)));

test('the same objects as a List, and as JSON', () => {
  const items = parseAllDocuments(everything).map((document) => document.toJS());
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', metadata: {}, items }, undefined, 1);
  const nested = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'v1', kind: 'List', items }] });
  expect(bare(decode(list))).toEqual(bare(decode(everything)));
  expect(bare(decode(nested))).toEqual(bare(decode(everything)));
});

const empty: [sentence: string, text: string][] = [
  ['an empty text', ''],
  ['comments', '# nothing\n'],
  ['empty documents', '---\n---\n# nothing\n...\n'],
  ['an empty List', 'apiVersion: v1\nkind: List\nitems: []\n'],
];
test.each(empty)('%s holds no object', (_sentence, text) => {
  expect(decode(text)).toEqual([]);
});

const lenient: [sentence: string, text: string, field: 'spec' | 'metadata', want: unknown][] = [
  ['unknown fields', cnp('  endpointSelector: {}\n  banana: 1\n'), 'spec', rule({ endpointSelector: NOTHING })],
  [
    'a selector that is null selects everything',
    cnp('  endpointSelector:\n'),
    'spec',
    rule({ endpointSelector: NOTHING }),
  ],
  [
    'a null among selectors',
    ingress('    - fromEndpoints: [null]\n'),
    'spec',
    rule({ endpointSelector: NOTHING, ingress: [entry({ endpoints: [NOTHING] })] }),
  ],
  [
    'words of which others judge',
    ingress('    - authentication: {mode: foo}\n'),
    'spec',
    rule({ endpointSelector: NOTHING, ingress: [entry({ authentication: { mode: 'foo' } })] }),
  ],
  [
    'annotations of Cilium, and any name',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: A_b, annotations: {cilium.io/x: z}}\nspec: {}\n',
    'metadata',
    { name: 'A_b', namespace: 'default', labels: {}, annotations: { 'cilium.io/x': 'z' } },
  ],
];
test.each(lenient)("the agent's own decoder takes %s", (_sentence, text, field, want) => {
  const [object] = decodeObjects(text, 'x.yaml', { unknownFields: 'ignore' });
  if (object?.kind !== 'CiliumNetworkPolicy') throw new Error('want a CiliumNetworkPolicy');
  expect(object[field]).toEqual(want);
});

test("types are checked by the agent's own decoder, too", () => {
  const text = ingress('    - toPorts: [{ports: [{port: 80}]}]\n      fromEntities: [1]\n');
  expect(() => decodeObjects(text, 'x.yaml', { unknownFields: 'ignore' })).toThrow(
    /ports\[0\]\.port: .*\n.*fromEntities/,
  );
});

const accepted: [sentence: string, text: string][] = [
  ['a byte order mark', `\ufeff${pod('')}`],
  ['Windows line ends', pod('spec:\n  nodeName: a').replaceAll('\n', '\r\n')],
  ['quoted words that YAML 1.1 takes for booleans', pod('  labels: {a: "yes", b: \'on\', c: "n"}')],
  ['aliases', pod('  labels: &labels {a: b}\n  annotations: *labels')],
  ['empty label values', pod('  labels: {a: ""}')],
  ['null for absent', pod('  labels: ~\n  namespace:\nspec:\n  containers: null\n  hostNetwork:')],
  ['a refused field that is null', pod('  deletionTimestamp: ~')],
  ['a NetworkPolicy without podSelector selects every pod', netpol('  ingress: []\n')],
  ['a peer that names nobody', netpol('  podSelector: {}\n  ingress: [{from: [{}]}]\n')],
  [
    'only specs',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspecs: [{endpointSelector: {}}]\n',
  ],
  [
    'keys of every source',
    cnp('  endpointSelector: {matchLabels: {"any:a": b, "$host": "", reserved.init: "", x/y: z}}\n'),
  ],
  [
    'a service as the API server prints it',
    service(`  type: ClusterIP
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1]
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  publishNotReadyAddresses: false
  sessionAffinity: None
  selector: {a: b}
  ports: [{port: 80, targetPort: 8080}]
status: {loadBalancer: {}}
`),
  ],
];
test.each(accepted)('accepted: %s', (_sentence, text) => {
  expect(decode(text)).toHaveLength(1);
});

test('a label named like a part of JavaScript is only a label', () => {
  const [object] = decode(pod('  labels: {constructor: a, toString: b}'));
  expect(object?.metadata.labels).toEqual({ constructor: 'a', toString: 'b' });
});
