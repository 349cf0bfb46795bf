/** What a policy is computed from: the recorded input of the real engine, or one made in its likeness at any size. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decodeObjects, type PolicyObject } from '@ciliate/k8s';
import { Labels } from '@ciliate/labels';
import { type MapStateKey, PolicyRepository, SelectorCache, type Subject } from '@ciliate/policy';
import { Random } from './random.ts';

type Identity = readonly [identity: number, labels: Labels];

export interface PolicyWorld {
  readonly policies: readonly PolicyObject[];
  readonly identities: readonly Identity[];
  /** Whose policy is computed; all policies select it. */
  readonly subject: Subject;
  /** That come one by one afterwards. */
  readonly added: readonly Identity[];
}

/** What the real engine answered and the medians of its times in ms, on another machine of this kind. */
export interface Recorded {
  /** Keys as `keyText` writes them. */
  readonly mapState: ReadonlySet<string>;
  /** The keys that each identity of `added` brings. */
  readonly adds: readonly ReadonlySet<string>[];
  readonly times: Readonly<
    Record<'firstResolve' | 'selectorPolicy' | 'distill' | 'incremental' | 'incrementalChanging', number>
  >;
}

interface Row {
  readonly identity: number;
  readonly labels: readonly string[];
}
type KeyRow = Omit<MapStateKey, 'egress'> & { readonly direction: 'ingress' | 'egress' };

/** 1,000 rules and 10,000 identities, made by fixtures/make_policy.py. */
export function recordedWorld(): { world: PolicyWorld; recorded: Recorded } {
  const file = new URL('fixtures/policy.json.gz', import.meta.url);
  const data = JSON.parse(gunzipSync(readFileSync(file)).toString());
  const identityOf = ({ identity, labels }: Row): Identity => [identity, Labels.parse(labels)];
  const keysOf = (rows: readonly KeyRow[]) =>
    new Set(rows.map((row) => keyText({ ...row, egress: row.direction === 'egress' })));
  const subject = { identity: data.subject.identity, labels: Labels.parse(data.subject.labels) };
  return {
    world: {
      policies: decode(data.policies),
      identities: [...data.reserved, ...data.identities, data.subject].map(identityOf),
      subject,
      added: data.addedIdentities.map(identityOf),
    },
    recorded: {
      mapState: keysOf(data.expectedMapState),
      adds: data.expectedIncrementalAdds.map(keysOf),
      times: data.results,
    },
  };
}

/**
 * The same kind of cluster: applications in 20 namespaces, four tiers and eight versions; each rule is about one
 * application or one tier and version, in one namespace, and one port.
 * @param rules all select the subject
 */
export function generatedWorld(rules: number, identities: number, seed: number): PolicyWorld {
  const random = new Random(seed);
  const applications = Math.ceil(identities / 25);
  const labels = (): Labels =>
    Labels.parse([
      `k8s:app=app-${random.below(applications)}`,
      `k8s:tier=t${random.below(4)}`,
      `k8s:version=v${random.below(8)}`,
      'k8s:io.cilium.k8s.policy.cluster=default',
      `k8s:io.kubernetes.pod.namespace=ns-${random.below(20)}`,
    ]);
  const peer = (): Record<string, string> => ({
    ...(random.below(2) === 0
      ? { app: `app-${random.below(applications)}` }
      : { tier: `t${random.below(4)}`, version: `v${random.below(8)}` }),
    'k8s:io.kubernetes.pod.namespace': `ns-${random.below(20)}`,
  });
  const policy = (index: number) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: `p-${index}`, namespace: 'ns-0' },
    spec: {
      endpointSelector: { matchLabels: { app: 'subject' } },
      egress: [
        {
          toEndpoints: [{ matchLabels: peer() }],
          toPorts: [{ ports: [{ port: `${1000 + random.below(50)}`, protocol: 'TCP' }] }],
        },
      ],
    },
  });
  const subject = {
    identity: 1000,
    labels: Labels.parse([
      'k8s:app=subject',
      'k8s:io.cilium.k8s.policy.cluster=default',
      'k8s:io.kubernetes.pod.namespace=ns-0',
    ]),
  };
  const many = (count: number, from: number): Identity[] =>
    Array.from({ length: count }, (_, index) => [from + index, labels()]);
  return {
    policies: decode(Array.from({ length: rules }, (_, index) => policy(index))),
    identities: [...many(identities, 2000), [subject.identity, subject.labels]],
    subject,
    added: many(200, 2000 + identities),
  };
}

/** A repository with all policies, and a cache that knows all identities and no selector yet. */
export function setUp({ policies, identities }: PolicyWorld): { repository: PolicyRepository; cache: SelectorCache } {
  const repository = new PolicyRepository({ enableIPv6: false });
  for (const policy of policies) repository.upsert(policy);
  return { repository, cache: new SelectorCache(identities) };
}

export const keyText = ({ egress, identity, protocol, dport, portPrefixLen }: MapStateKey): string =>
  `${egress ? 'egress' : 'ingress'} ${identity} ${protocol} ${dport}/${portPrefixLen}`;

function decode(objects: readonly unknown[]): PolicyObject[] {
  const texts = objects.map((object) => JSON.stringify(object)).join('\n---\n');
  return decodeObjects(texts, 'policies') as PolicyObject[];
}
