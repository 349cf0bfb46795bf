import type { Agent, Endpoint } from '@ciliate/agent';
import { podName } from '@ciliate/agent';
import { InputError } from '@ciliate/k8s';
import {
  comparePolicyDumps,
  hexOf,
  type PolicyDump,
  pinnedCounters,
  pinnedEntries,
  policyCells,
  policyIdentity,
  policyMapName,
  policyRecord,
  policyStatsKey,
} from '@ciliate/maps';
import { Command } from 'commander';
import { tabwriter } from '../render_tabwriter.ts';
import { CAPTURE_ARGUMENT, type MapOptions, type MapView, showMaps, withMapOptions } from './bpf_maps.ts';

interface PolicyOptions extends MapOptions {
  numeric?: true;
  all?: true;
}

/** `ciliate bpf policy get ENDPOINT|--all`, `ciliate bpf policy list`. */
export function bpfPolicyCommand(): Command {
  const get = withMapOptions(new Command('get'))
    .description("an endpoint's policy map, with what was counted by each entry")
    .argument('[endpoint]', 'its id, [NAMESPACE/]NAME of the pod, or reserved:host; with --all the capture')
    .argument(...CAPTURE_ARGUMENT)
    .option('-n, --numeric', 'numbers of identities, not their labels')
    .option('--all', 'the maps of all endpoints')
    .action((endpoint: string | undefined, capture: string | undefined, options: PolicyOptions) => {
      if (options.all) return showMaps(options, endpoint, (agent) => allMaps(agent, options));
      if (endpoint === undefined) throw new InputError('name an endpoint (its id or its pod), or ask for --all', {});
      return showMaps(options, capture, (agent) => oneMap(agent, endpointOf(agent, endpoint), options));
    });
  const list = withMapOptions(new Command('list'))
    .description('the maps of all endpoints')
    .argument(...CAPTURE_ARGUMENT)
    .option('-n, --numeric', 'numbers of identities, not their labels')
    .action((capture: string | undefined, options: PolicyOptions) =>
      showMaps(options, capture, (agent) => allMaps(agent, options)),
    );
  return new Command('policy').description('policy maps').addCommand(get).addCommand(list);
}

function endpointOf(agent: Agent, word: string): Endpoint {
  const all = [...agent.endpoints, agent.hostEndpoint];
  const ofName = () => all.find((endpoint) => podName(endpoint) === word) ?? agent.endpointOfPod(word);
  const found = /^\d+$/.test(word) ? agent.endpointOfId(Number(word)) : ofName();
  if (found !== undefined) return found;
  const known = all.map((endpoint) => `${endpoint.id} (${podName(endpoint)})`).join(', ');
  throw new InputError(`no endpoint ${JSON.stringify(word)}; there are ${known}`, { endpoint: word });
}

function oneMap(agent: Agent, endpoint: Endpoint, options: PolicyOptions): MapView {
  const dump = contents(agent, endpoint);
  return { text: policyTable(agent, dump, options), json: dump.map(policyRecord) };
}

/** Where Cilium's tool shows the path of the pinned file, this shows the name of the pin. */
function allMaps(agent: Agent, options: PolicyOptions): MapView {
  const maps = [...agent.endpoints, agent.hostEndpoint].map((endpoint) => ({
    id: `${endpoint.id}`,
    path: policyMapName(endpoint.id),
    dump: contents(agent, endpoint),
  }));
  const text = maps.map(
    ({ id, path, dump }) => `Endpoint ID: ${id}\nPath: ${path}\n\n${policyTable(agent, dump, options)}\n\n`,
  );
  return {
    text: text.join(''),
    json: maps.map(({ id, path, dump }) => ({ EndpointID: id, Path: path, Content: dump.map(policyRecord) })),
  };
}

function contents({ memory }: Agent, { id }: Endpoint): PolicyDump[] {
  const counted = new Map(pinnedCounters(memory, 'cilium_policystats').map(({ key, counts }) => [hexOf(key), counts]));
  const dump = pinnedEntries(memory, policyMapName(id)).map(({ key, value }) => {
    const counts = counted.get(hexOf(policyStatsKey(id, key)));
    return { key, value, stats: counts && { packets: counts[0], bytes: counts[1] } };
  });
  return dump.sort(comparePolicyDumps);
}

const AFTER = ['PORT/PROTO', 'PROXY PORT', 'AUTH TYPE', 'BYTES', 'PACKETS', 'PREFIX'];

function policyTable(agent: Agent, dump: readonly PolicyDump[], { numeric }: PolicyOptions): string {
  const who = numeric ? 'IDENTITY' : 'LABELS (source:key[=value])';
  const lines = [['POLICY', 'DIRECTION', who, ...AFTER]];
  for (const entry of dump) {
    const { before, after } = policyCells(entry);
    const [first, ...more] = numeric ? [] : labelsOf(agent, policyIdentity(entry.key));
    lines.push([...before, first ?? `${policyIdentity(entry.key)}`, ...after]);
    for (const label of more) lines.push(['', '', label, ...AFTER.map(() => '')]);
  }
  const empty = 'Policy stats empty. Perhaps the policy enforcement is disabled?\n';
  return `${tabwriter(lines.map((cells) => `${cells.join('\t')}\t\n`).join(''))}${dump.length === 0 ? empty : ''}`;
}

const labelsOf = (agent: Agent, identity: number): string[] =>
  identity === 0 ? ['ANY'] : (agent.identities.get(identity)?.toStrings() ?? []);
