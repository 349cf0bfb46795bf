import type { Agent } from '@ciliate/agent';
import { ctLine, ctRecord, natLine, natRecord, pinnedEntries } from '@ciliate/maps';
import { Command } from 'commander';
import { CAPTURE_ARGUMENT, type MapOptions, type MapView, showMaps, withMapOptions } from './bpf_maps.ts';

const CT_MAPS = ['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'];
const NAT_MAPS = ['cilium_snat_v4_external', 'cilium_snat_v6_external'];

/** `ciliate bpf ct list`: the global maps of all shards. */
export function bpfCtCommand(): Command {
  const list = withMapOptions(new Command('list'))
    .description('connections, one line an entry; cilium-dbg bpf ct list global')
    .argument(...CAPTURE_ARGUMENT)
    .option('-d, --time-diff', 'also how many seconds each entry has to live')
    .action((capture: string | undefined, options: MapOptions & { timeDiff?: true }) =>
      showMaps(options, capture, (agent) => {
        const now = options.timeDiff ? agent.memory.nowSeconds : undefined;
        return perMap(agent, CT_MAPS, (key, value) => ctLine(key, value, now), ctRecord);
      }),
    );
  return new Command('ct').description('connection tracking').addCommand(list);
}

/** `ciliate bpf nat list`. */
export function bpfNatCommand(): Command {
  const list = withMapOptions(new Command('list'))
    .description('address translations, one line an entry')
    .argument(...CAPTURE_ARGUMENT)
    .action((capture: string | undefined, options: MapOptions) =>
      showMaps(options, capture, (agent) => {
        const now = agent.memory.nowSeconds;
        return perMap(agent, NAT_MAPS, (key, value) => natLine(key, value, now), natRecord);
      }),
    );
  return new Command('nat').description('network address translation').addCommand(list);
}

/** As cilium-dbg: the lines of a map, then an empty line; in JSON one list of all maps. */
function perMap(
  agent: Agent,
  names: readonly string[],
  line: (key: Uint8Array, value: Uint8Array) => string | undefined,
  record: (key: Uint8Array, value: Uint8Array) => object,
): MapView {
  const maps = names.map((name) => pinnedEntries(agent.memory, name));
  const lines = maps.map((entries) =>
    entries.flatMap(({ key, value }) => line(key, value) ?? []).map((text) => `${text}\n`),
  );
  return {
    text: lines.map((texts) => `${texts.join('')}\n`).join(''),
    json: maps.flat().map(({ key, value }) => record(key, value)),
  };
}
