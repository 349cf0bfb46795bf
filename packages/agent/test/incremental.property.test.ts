import { decodeObjects, type K8sObject, ObjectStore } from '@ciliate/k8s';
import { parseIpv4 } from '@ciliate/packet';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { Agent, podName } from '../src/index.ts';
import { asInMaps, onWrite } from './maps.ts';
import { type AddressFlow, fromScratch, type Reach } from './scratch.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
afterEach(() => vi.restoreAllMocks());

const PODS = ['a', 'b', 'c', 'd'];
const ADDRESSES = [
  '10.0.0.1',
  '10.0.0.2',
  '10.0.0.3',
  '10.0.0.4',
  '1.2.3.4',
  '1.2.9.9',
  '1.9.9.9',
  '8.8.8.8',
  '192.0.2.1',
];
const PORTS = [
  { protocol: 6, dport: 80 },
  { protocol: 6, dport: 8080 },
  { protocol: 17, dport: 80 },
];
/** Not those of a pod to itself: its identity and its policy do not change at the same moment, and policy is not asked. */
const FLOWS: readonly AddressFlow[] = PODS.flatMap((pod, index) =>
  ADDRESSES.filter((address) => address !== ADDRESSES[index]).flatMap((address) =>
    PORTS.flatMap((port) =>
      [false, true].map((egress) => ({ pod: `default/${pod}`, peer: parseIpv4(address)!, egress, ...port })),
    ),
  ),
);

/** One change of the cluster: objects to apply, names to delete. */
interface Change {
  readonly apply: readonly object[];
  readonly remove: readonly { kind: K8sObject['kind']; namespace: string; name: string }[];
}
const applied = (object: object): Change => ({ apply: [object], remove: [] });
const removed = (kind: K8sObject['kind'], namespace: string, name: string): Change => ({
  apply: [],
  remove: [{ kind, namespace, name }],
});

const podOf = (index: number, app: string, web: number): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: PODS[index], labels: { app } },
  spec: { containers: [{ name: 'main', ports: [{ name: 'web', containerPort: web }] }] },
  status: { podIP: ADDRESSES[index] },
});
const podChange = fc
  .record({ index: fc.nat(PODS.length - 1), app: fc.constantFrom('x', 'y'), web: fc.constantFrom(80, 8080) })
  .map(({ index, app, web }) => applied(podOf(index, app, web)));
const namespaceChange = fc
  .constantFrom('red', 'blue')
  .map((team) => applied({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels: { team } } }));
const prefixes = fc.subarray(['1.0.0.0/8', '1.2.0.0/16', '1.2.3.4/32', '10.0.0.2/32', '0.0.0.0/0'], { minLength: 1 });
const groupChange = fc
  .record({ externalCIDRs: prefixes, kind: fc.constantFrom('near', 'far') })
  .map(({ externalCIDRs, kind }) =>
    applied({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumCIDRGroup',
      metadata: { name: 'g', labels: { kind } },
      spec: { externalCIDRs },
    }),
  );
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'ext' },
  spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
};
const sliceChange = fc.subarray(['1.2.3.4', '8.8.8.8'], { minLength: 1 }).map((addresses) => ({
  apply: [
    SERVICE,
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'ext-1', labels: { 'kubernetes.io/service-name': 'ext' } },
      addressType: 'IPv4',
      endpoints: addresses.map((one) => ({ addresses: [one] })),
    },
  ],
  remove: [],
}));

const TEAM = 'k8s:io.cilium.k8s.namespace.labels.team';
const peerOf = (way: 'from' | 'to') =>
  fc.oneof(
    fc
      .constantFrom({ app: 'x' }, { app: 'y' }, { [TEAM]: 'red' }, {})
      .map((matchLabels) => ({ [`${way}Endpoints`]: [{ matchLabels }] })),
    prefixes.map((cidrs) => ({
      [`${way}CIDRSet`]: cidrs.map((cidr) => ({ cidr, ...(cidr === '1.0.0.0/8' && { except: ['1.2.0.0/16'] }) })),
    })),
    fc
      .constantFrom({ cidrGroupRef: 'g' }, { cidrGroupSelector: { matchLabels: { kind: 'near' } } })
      .map((one) => ({ [`${way}CIDRSet`]: [one] })),
    fc.constantFrom('world', 'cluster', 'host', 'all').map((entity) => ({ [`${way}Entities`]: [entity] })),
    fc.constant(way === 'to' ? { toServices: [{ k8sService: { serviceName: 'ext', namespace: 'default' } }] } : {}),
  );
const ports = fc.constantFrom<readonly { port: string; endPort?: number; protocol: string }[]>(
  [],
  [{ port: '80', protocol: 'TCP' }],
  [{ port: '80', endPort: 8080, protocol: 'TCP' }],
  [{ port: 'web', protocol: 'TCP' }],
  [{ port: '80', protocol: 'ANY' }],
);
const http = { rules: { http: [{ method: 'GET' }] } };
const entryOf = (way: 'from' | 'to', mayRedirect: boolean) =>
  fc.record({ peer: peerOf(way), list: ports, l7: fc.boolean() }).map(({ peer, list, l7 }) => ({
    ...peer,
    ...(list.length > 0 && {
      toPorts: [{ ports: list, ...(l7 && mayRedirect && list[0]!.protocol === 'TCP' && http) }],
    }),
  }));
const listOf = (entry: fc.Arbitrary<object>, maxLength: number) =>
  fc.option(fc.array(entry, { minLength: 1, maxLength }), { nil: undefined, freq: 2 });
/** An open one lets everything through that is not denied, so that a missing deny shows. */
const specOf = fc
  .record({
    app: fc.constantFrom({}, { app: 'x' }, { app: 'y' }),
    open: fc.boolean(),
    ingress: listOf(entryOf('from', true), 2),
    egress: listOf(entryOf('to', false), 2),
    ingressDeny: listOf(entryOf('from', false), 1),
    egressDeny: listOf(entryOf('to', false), 1),
  })
  .filter(({ ingress, egress, ingressDeny, egressDeny }) => Boolean(ingress ?? egress ?? ingressDeny ?? egressDeny))
  .map(({ app, open, ingress, egress, ...denies }) => ({
    endpointSelector: { matchLabels: app },
    ingress: open ? [...(ingress ?? []), { fromEntities: ['all'] }] : ingress,
    egress: open ? [...(egress ?? []), { toEntities: ['all'] }] : egress,
    ...denies,
  }));
const policyName = fc.constantFrom('p', 'q', 'r');
const policyChange = fc
  .record({ name: policyName, spec: specOf })
  .map(({ name, spec }) =>
    applied({ apiVersion: 'cilium.io/v2', kind: 'CiliumNetworkPolicy', metadata: { name }, spec }),
  );
const change = fc.oneof(
  { weight: 4, arbitrary: policyChange },
  { weight: 2, arbitrary: podChange },
  { weight: 1, arbitrary: namespaceChange },
  { weight: 3, arbitrary: groupChange },
  { weight: 1, arbitrary: sliceChange },
  { weight: 1, arbitrary: policyName.map((name) => removed('CiliumNetworkPolicy', 'default', name)) },
  { weight: 1, arbitrary: fc.constantFrom(...PODS).map((name) => removed('Pod', 'default', name)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(removed('CiliumCIDRGroup', '', 'g'), removed('EndpointSlice', 'default', 'ext-1')),
  },
);
/** Most of a cluster first, so that changes meet something. */
const history = fc.tuple(
  fc.tuple(
    ...PODS.map((_, index) =>
      podChange.map(({ apply: [pod] }) => ({
        ...pod,
        metadata: { ...(pod as { metadata: object }).metadata, name: PODS[index] },
        status: { podIP: ADDRESSES[index] },
      })),
    ),
  ),
  fc.array(policyChange, { maxLength: 3 }),
  fc.array(change, { minLength: 1, maxLength: 6 }),
);

/** A name of a port means two numbers, so no rule, until the pod with the other one goes: it must not be reached meanwhile. */
const AMBIGUOUS_UNTIL_GONE: [[object[], Change[], Change[]]] = [
  [
    PODS.map((_, index) => podOf(index, 'x', index === PODS.length - 1 ? 8080 : 80)),
    [
      applied({
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { name: 'p' },
        spec: {
          endpointSelector: { matchLabels: { app: 'x' } },
          egress: [{ toEndpoints: [{ matchLabels: { app: 'x' } }], toPorts: [{ ports: [{ port: 'web' }] }] }],
        },
      }),
    ],
    [removed('Pod', 'default', PODS.at(-1)!)],
  ],
];

/** Everybody may come but pods and the addresses of pods: one that goes must not get through while it is neither. */
const DENIED_AS_POD_AND_AS_ADDRESS: [[object[], Change[], Change[]]] = [
  [
    PODS.map((_, index) => podOf(index, 'x', 80)),
    [
      applied({
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { name: 'p' },
        spec: {
          endpointSelector: {},
          ingress: [{ fromEntities: ['all'] }],
          ingressDeny: [{ fromEndpoints: [{}] }, { fromCIDRSet: [{ cidr: '10.0.0.0/8' }] }],
        },
      }),
    ],
    [removed('Pod', 'default', PODS[1]!)],
  ],
];

function perform(store: ObjectStore, { apply, remove }: Change): void {
  for (const object of apply)
    for (const decoded of decodeObjects(JSON.stringify(object), 'objects.json')) store.apply(decoded);
  for (const ref of remove) store.delete(ref);
}

test('after each change the maps say what the objects say, and meanwhile never more than before or after', async () => {
  await fc.assert(
    fc.asyncProperty(history, async ([pods, policies, changes]) => {
      const store = new ObjectStore();
      perform(store, { apply: [...pods, ...policies.flatMap(({ apply }) => apply)], remove: [] });
      const agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }) });
      try {
        let before = reach(asInMaps(agent));
        let peak: Reach[] = [];
        onWrite((endpointId) => {
          const ofMap = endpointId === undefined ? undefined : agent.endpointOfId(endpointId);
          if (endpointId !== undefined && ofMap === undefined) return; // of a pod that no packet finds yet
          const now = asInMaps(agent);
          for (const [index, flow] of FLOWS.entries())
            if (ofMap === undefined || podName(ofMap) === flow.pod)
              peak[index] = Math.max(peak[index]!, now(flow)) as Reach;
        });
        for (const one of changes) {
          peak = [...before];
          perform(store, one);
          await agent.settled();
          const after = reach(asInMaps(agent));
          const live = new Set(store.list('Pod').map(({ metadata }) => `default/${metadata.name}`));
          const model = fromScratch(store, agent.nodeAddresses[0] as number);
          for (const [index, flow] of FLOWS.entries()) {
            if (!live.has(flow.pod)) continue;
            const wanted = model(flow);
            if (after[index] !== wanted)
              expect.fail(`${inWords(flow)}: ${after[index]}, from scratch ${wanted}, after ${JSON.stringify(one)}`);
            if (peak[index]! > Math.max(before[index]!, wanted))
              expect.fail(`${inWords(flow)} got through meanwhile, in ${JSON.stringify(one)}`);
          }
          before = after;
        }
      } finally {
        vi.restoreAllMocks();
        await agent.stop();
      }
    }),
    { seed, numRuns: 16, endOnFailure: true, examples: [AMBIGUOUS_UNTIL_GONE, DENIED_AS_POD_AND_AS_ADDRESS] },
  );
}, 120_000);

const reach = (of: (flow: AddressFlow) => Reach): Reach[] => FLOWS.map(of);
const inWords = ({ pod, peer, egress, protocol, dport }: AddressFlow): string =>
  `${egress ? 'from' : 'to'} ${pod}, peer ${ADDRESSES.find((one) => parseIpv4(one) === peer)}, ${protocol}/${dport}`;
