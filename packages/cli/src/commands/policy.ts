import { type Agent, type Endpoint, HOST_NAME, podName } from '@ciliate/agent';
import { findWorkload, InputError, type ObjectStore } from '@ciliate/k8s';
import {
  type FilterPeer,
  formatOrigin,
  type L4Filter,
  portsText,
  qualified,
  type Rule,
  selectorText,
} from '@ciliate/policy';
import { Command } from 'commander';
import { type CommonOptions, loadStore, startAgent, toJson, withCommonOptions } from '../options.ts';
import { renderPolicyMap } from '../render.ts';
import { table } from '../table.ts';

interface PolicyOptions extends CommonOptions {
  pod: string;
}

/** What becomes of the policies about one pod, from step to step. */
export function policyCommand(): Command {
  return withCommonOptions(new Command('policy'))
    .description("from a pod's rules by its selectors and filters to the entries of its policy map")
    .requiredOption('--pod <pod>', 'whose policy: [pod/][NAMESPACE/]NAME, or reserved:host, the node itself')
    .action(async (options: PolicyOptions) => {
      const store = loadStore(options.file);
      const pod = podOf(store, options.pod);
      const agent = await startAgent(store, options);
      try {
        const endpoint = pod === undefined ? agent.hostEndpoint : agent.endpointOfPod(pod)!;
        process.stdout.write(options.json ? `${toJson(jsonOf(agent, endpoint))}\n` : render(agent, endpoint));
      } finally {
        await agent.stop();
      }
    });
}

/** @returns `namespace/name`; undefined: the node itself */
function podOf(store: ObjectStore, word: string): string | undefined {
  if (word === HOST_NAME) return undefined;
  const { kind, metadata } = findWorkload(store, word);
  if (kind !== 'Pod') throw new InputError(`--pod ${word}: a service has no policy, name a pod`, {});
  return `${metadata.namespace}/${metadata.name}`;
}

const filtersOf = ({ policy: { l4 } }: Endpoint): L4Filter[] => [...l4.ingress.filters, ...l4.egress.filters];

const identitiesText = ({ selector }: FilterPeer): string =>
  selector.isWildcard ? 'every identity' : selector.selections().join(', ') || 'nobody known';

const jsonOf = (agent: Agent, endpoint: Endpoint): object => ({
  identity: endpoint.identity,
  labels: endpoint.labels.toStrings(),
  rules: agent.repository
    .rulesSelecting(endpoint)
    .map(({ policy, specIndex, position }) => ({ ...policy, specIndex, position })),
  filters: filtersOf(endpoint).map((filter) => ({
    direction: filter.egress ? 'egress' : 'ingress',
    ports: portsText(filter),
    peers: [...filter.peers.values()].map(({ selector, policy, origins }) => ({
      selector: selector.key,
      wildcard: selector.isWildcard,
      identities: selector.selections(),
      policy,
      origins: origins.list(),
    })),
  })),
  entries: endpoint.policyMap.entries(),
});

function render(agent: Agent, endpoint: Endpoint): string {
  const rules = agent.repository.rulesSelecting(endpoint).map(ruleLine);
  const filters = filtersOf(endpoint).flatMap((filter) =>
    [...filter.peers.values()].map((peer) => filterRow(filter, peer)),
  );
  return [
    `Rules that select ${podName(endpoint)}, identity ${endpoint.identity}:\n`,
    ...(rules.length === 0 ? ['  none\n'] : rules),
    '\nFilters:\n',
    table(['DIRECTION', 'PORT/PROTO', 'SELECTOR', 'IDENTITIES', 'SAYS', 'FROM'], filters),
    `\nEntries of cilium_policy_v2_${`${endpoint.id}`.padStart(5, '0')}:\n`,
    renderPolicyMap(agent, endpoint),
  ].join('');
}

function ruleLine({ policy, position: { file, line }, ingress, egress }: Rule): string {
  const sides = { ingress, egress };
  const said = (['ingress', 'egress'] as const)
    .filter((side) => sides[side].allow.length + sides[side].deny.length > 0)
    .map((side) => `${side}${sides[side].defaultDeny ? ' (default deny)' : ''}`);
  return `  ${policy.kind} ${qualified(policy)} (${file}:${line}): ${said.join(', ')}\n`;
}

function filterRow(filter: L4Filter, peer: FilterPeer): string[] {
  const { selector, policy, origins } = peer;
  const says = policy?.deny ? 'deny' : policy === null || policy.parser === '' ? 'allow' : `redirect ${policy.parser}`;
  return [
    filter.egress ? 'Egress' : 'Ingress',
    portsText(filter),
    selectorText(selector.selector),
    identitiesText(peer),
    says,
    origins.list().map(formatOrigin).join('; '),
  ];
}
