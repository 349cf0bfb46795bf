import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { decodeObjects, type K8sObject } from '../src/index.ts';
import { cnp, everything, ingress, netpol, pod, service } from './texts.ts';

const at = (line: number, column: number) => ({ file: 'x.yaml', line, column });
const decode = (text: string): K8sObject[] => decodeObjects(text, 'x.yaml');
const NOTHING = { matchLabels: {}, matchExpressions: [] };
const web = { matchLabels: { app: 'web' }, matchExpressions: [] };

test('one of everything, with the positions of what a policy may have to explain', () => {
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
      status: { podIP: '10.0.1.7', hostIP: '192.168.1.1' },
    },
    {
      kind: 'Service',
      position: at(36, 1),
      metadata: { ...meta, name: 'web', labels: { app: 'web' } },
      spec: {
        type: 'ClusterIP',
        clusterIP: '10.96.0.7',
        selector: { app: 'web' },
        ports: [
          { name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' },
          { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP' },
        ],
      },
    },
    {
      kind: 'NetworkPolicy',
      position: at(49, 1),
      metadata: { ...meta, name: 'np' },
      spec: {
        podSelector: web,
        ingress: [
          {
            position: at(56, 7),
            from: [
              {
                position: at(57, 11),
                podSelector: NOTHING,
                namespaceSelector: {
                  matchLabels: {},
                  matchExpressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }],
                },
              },
              { position: at(60, 11), podSelector: undefined, namespaceSelector: NOTHING },
            ],
            ports: [
              { position: at(61, 15), port: 80, protocol: 'TCP' },
              { position: at(61, 27), port: undefined, protocol: 'UDP' },
            ],
          },
          { position: at(62, 7), from: undefined, ports: undefined },
        ],
      },
    },
    {
      kind: 'CiliumNetworkPolicy',
      position: at(64, 1),
      metadata: { ...meta, name: 'cnp' },
      specs: [
        {
          position: at(70, 3),
          description: 'who may buy',
          endpointSelector: { matchLabels: { 'k8s:app': 'web' }, matchExpressions: [] },
          ingress: [
            {
              position: at(74, 7),
              fromEndpoints: [
                { position: at(75, 11), matchLabels: { app: 'client' }, matchExpressions: [] },
                { position: at(76, 11), ...NOTHING },
              ],
              fromEntities: undefined,
              toPorts: [
                {
                  position: at(78, 11),
                  ports: [
                    { position: at(79, 15), port: '80', protocol: 'TCP' },
                    { position: at(81, 15), port: '8080', protocol: 'TCP' },
                  ],
                  rules: { http: [{ position: at(84, 17), method: 'GET', path: '/items/.*', host: undefined }] },
                },
              ],
            },
            {
              position: at(85, 7),
              fromEndpoints: undefined,
              fromEntities: ['cluster', 'remote-node'],
              toPorts: [
                { position: at(86, 17), ports: [], rules: undefined },
                { position: at(86, 30), ports: [], rules: undefined },
              ],
            },
            { position: at(87, 7), fromEndpoints: [], fromEntities: undefined, toPorts: undefined },
          ],
        },
        {
          position: at(89, 5),
          description: undefined,
          endpointSelector: {
            matchLabels: {},
            matchExpressions: [{ key: 'reserved:init', operator: 'Exists', values: [] }],
          },
          ingress: [],
        },
      ],
    },
  ]);
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

const ports = (text: string): unknown => {
  const [object] = decode(text);
  if (object?.kind !== 'CiliumNetworkPolicy') throw new Error('want a CiliumNetworkPolicy');
  return object.specs[0]?.ingress?.[0]?.toPorts?.[0]?.ports.map(({ port, protocol }) => `${port}/${protocol}`);
};
const spelled: [sentence: string, port: string, decoded: string][] = [
  ['a number becomes a string', '{port: 80}', '80/ANY'],
  ['port 0 is every port', '{port: "0", protocol: ANY}', '0/ANY'],
  ['octal is left as it is', '{port: "010", protocol: TCP}', '010/TCP'],
  ['small letters become capitals', '{port: "65535", protocol: sctp}', '65535/SCTP'],
];
test.each(spelled)('a port of a Cilium policy: %s', (_sentence, port, decoded) => {
  expect(ports(ingress(`    - toPorts: [{ports: [${port}]}]\n`))).toEqual([decoded]);
});

const accepted: [sentence: string, text: string][] = [
  ['a byte order mark', `\ufeff${pod('')}`],
  ['Windows line ends', pod('spec:\n  nodeName: a').replaceAll('\n', '\r\n')],
  ['quoted words that YAML 1.1 takes for booleans', pod('  labels: {a: "yes", b: \'on\', c: "n"}')],
  ['aliases', pod('  labels: &labels {a: b}\n  annotations: *labels')],
  ['empty label values', pod('  labels: {a: ""}')],
  ['null for absent', pod('  labels: ~\n  namespace:\nspec:\n  containers: null\n  hostNetwork:')],
  ['a refused field that is null', cnp('  endpointSelector: {}\n  egress:\n')],
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
