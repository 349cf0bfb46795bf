import type { Agent } from '@ciliate/agent';
import { dropReason } from '@ciliate/bpf';
import {
  endpointInfoText,
  endpointKeyText,
  fragmentRecord,
  ipcacheKeyText,
  ipcacheValueText,
  metricsKeyText,
  pinnedCounters,
  pinnedEntries,
  u8protoText,
} from '@ciliate/maps';
import { Command } from 'commander';
import { dumpTable, tablePrinter, tabwriter } from '../render_tabwriter.ts';
import { CAPTURE_ARGUMENT, type MapOptions, type MapView, NO_ENTRIES, showMaps, withMapOptions } from './bpf_maps.ts';

/** `ciliate bpf ipcache list`. */
export const bpfIpcacheCommand = (): Command =>
  listOnly('ipcache', 'prefixes and their identities', ({ memory }) => {
    const entries = pinnedEntries(memory, 'cilium_ipcache_v2');
    const rows = dumpTable(entries.map(({ key, value }) => [ipcacheKeyText(key), ipcacheValueText(value)] as const));
    return { text: tablePrinter('IP PREFIX/ADDRESS', 'IDENTITY', rows), json: rows };
  });

/** `ciliate bpf endpoint list`. */
export const bpfEndpointCommand = (): Command =>
  listOnly('endpoint', 'endpoints of this node', ({ memory }) => {
    const entries = pinnedEntries(memory, 'cilium_lxc');
    const rows = dumpTable(entries.map(({ key, value }) => [endpointKeyText(key), endpointInfoText(value)] as const));
    return { text: tablePrinter('IP ADDRESS', 'LOCAL ENDPOINT INFO', rows), json: rows };
  });

/** `ciliate bpf metrics list`. */
export const bpfMetricsCommand = (): Command =>
  listOnly('metrics', 'packets by what became of them', ({ memory }) => {
    const rows = pinnedCounters(memory, 'cilium_metrics').map(({ key, counts: [packets, bytes] }) => ({
      ...metricsKeyText(key, dropReason),
      packets,
      bytes,
    }));
    if (rows.length === 0) return { text: '', json: [], note: NO_ENTRIES };
    const cells = rows
      .map(({ reason, direction, packets, bytes, line, file }) => [
        reason,
        direction,
        `${packets}`,
        `${bytes}`,
        `${line}`,
        file,
      ])
      .sort(compareCells);
    const lines = [['REASON', 'DIRECTION', 'PACKETS', 'BYTES', 'LINE', 'FILE'], ...cells];
    return {
      text: tabwriter(lines.map((line) => `${line.join('\t')}\n`).join('')),
      json: rows.map(({ reason, direction, packets, bytes, line, file }) => ({
        reason,
        direction: direction.toLowerCase(),
        packets,
        bytes,
        line,
        file,
      })),
    };
  });

/** `ciliate bpf frag list`. */
export const bpfFragCommand = (): Command =>
  listOnly('frag', 'fragmented datagrams under way', ({ memory }) => {
    const names = ['cilium_ipv4_frag_datagrams', 'cilium_ipv6_frag_datagrams'];
    const records = names.flatMap((name) =>
      pinnedEntries(memory, name).map(({ key, value }) => fragmentRecord(key, value)),
    );
    // Go prints a list without elements that was never made as null.
    if (records.length === 0) return { text: '', json: null, note: NO_ENTRIES };
    const lines = records.map(({ ID, Proto, SourceAddress, DestAddress }) =>
      [`${ID}`, u8protoText(Proto), SourceAddress, DestAddress].join('\t'),
    );
    const text = ['ID\tPROTO\tSOURCE ADDRESS:PORT\tDEST ADDRESS:PORT', ...lines].map((line) => `${line}\n`).join('');
    return { text: tabwriter(text), json: records };
  });

function listOnly(name: string, description: string, show: (agent: Agent) => MapView): Command {
  const list = withMapOptions(new Command('list'))
    .description(description)
    .argument(...CAPTURE_ARGUMENT)
    .action((capture: string | undefined, options: MapOptions) => showMaps(options, capture, show));
  return new Command(name).description(description).addCommand(list);
}

/** By the first cell that differs, as text. */
function compareCells(a: readonly string[], b: readonly string[]): number {
  const i = a.findIndex((cell, column) => cell !== b[column]);
  if (i < 0) return 0;
  return a[i]! < b[i]! ? -1 : 1;
}
