import type { Agent } from '@ciliate/agent';
import { InputError } from '@ciliate/k8s';
import {
  backendText,
  type EntryBytes,
  type MaglevTable,
  type Memory,
  maglevTables,
  pinnedEntries,
  revNatText,
  serviceEntryText,
  serviceKeyText,
  serviceValueText,
  sourceRangeText,
} from '@ciliate/maps';
import { Command, InvalidArgumentError, Option } from 'commander';
import { dumpTable, tablePrinter } from '../render_tabwriter.ts';
import { CAPTURE_ARGUMENT, type MapOptions, type MapView, showMaps, withMapOptions } from './bpf_maps.ts';

interface LbOptions extends MapOptions {
  revnat?: true;
  backends?: true;
  frontends?: true;
  sourceRanges?: true;
}

const TITLE = { address: 'SERVICE ADDRESS', backends: 'BACKEND ADDRESS (REVNAT_ID) (SLOT)' } as const;

/** `ciliate bpf lb list`, `ciliate bpf lb maglev list|get`. */
export function bpfLbCommand(): Command {
  const only = ['revnat', 'backends', 'frontends', 'source-ranges'] as const;
  const list = withMapOptions(new Command('list')).description('services and their backends');
  for (const flag of only) {
    const others = only
      .filter((other) => other !== flag)
      .map((other) => (other === 'source-ranges' ? 'sourceRanges' : other));
    list.addOption(new Option(`--${flag}`, `the map of ${flag} alone`).conflicts(others));
  }
  list
    .argument(...CAPTURE_ARGUMENT)
    .action((capture: string | undefined, options: LbOptions) =>
      showMaps(options, capture, ({ memory }) => listOf(memory, options)),
    );
  return new Command('lb').description('load balancing').addCommand(list).addCommand(maglevCommand());
}

/** Entries of an IPv4 map and of its IPv6 twin. */
const bothFamilies = (memory: Memory, name: (n: 4 | 6) => string): EntryBytes[] => [
  ...pinnedEntries(memory, name(4)),
  ...pinnedEntries(memory, name(6)),
];

function listOf(memory: Memory, { revnat, backends, frontends, sourceRanges }: LbOptions): MapView {
  const services = bothFamilies(memory, (n) => `cilium_lb${n}_services_v2`);
  const all = bothFamilies(memory, (n) => `cilium_lb${n}_backends_v3`);
  if (revnat) {
    const entries = bothFamilies(memory, (n) => `cilium_lb${n}_reverse_nat`);
    return view(
      'ID',
      TITLE.backends,
      entries,
      ({ key }) => `${be16(key)}`,
      ({ value }) => revNatText(value),
    );
  }
  if (frontends)
    return view(
      TITLE.address,
      'BACKEND ID',
      services,
      ({ key }) => serviceKeyText(key),
      ({ value }) => serviceValueText(value),
    );
  if (backends)
    return view(
      'ID',
      TITLE.backends,
      all,
      ({ key }) => `${idOf(key)}`,
      ({ value }) => backendText(value),
    );
  if (sourceRanges) {
    const entries = bothFamilies(memory, (n) => `cilium_lb${n}_source_range`);
    return view(
      'SOURCE RANGE (REVNAT_ID)',
      '',
      entries,
      ({ key }) => sourceRangeText(key),
      () => '',
    );
  }
  const byId = new Map(all.map(({ key, value }) => [idOf(key), value]));
  return view(
    TITLE.address,
    TITLE.backends,
    services,
    ({ key }) => serviceKeyText(key),
    ({ key, value }) => serviceEntryText(key, value, byId),
  );
}

function view(
  first: string,
  second: string,
  entries: readonly EntryBytes[],
  key: (entry: EntryBytes) => string,
  value: (entry: EntryBytes) => string,
): MapView {
  const rows = dumpTable(entries.map((entry) => [key(entry), value(entry)] as const));
  return { text: tablePrinter(first, second, rows), json: rows };
}

const be16 = (key: Uint8Array): number => key[0]! * 256 + key[1]!;
const idOf = (key: Uint8Array): number => new DataView(key.buffer, key.byteOffset).getUint32(0, true);

function maglevCommand(): Command {
  const list = withMapOptions(new Command('list'))
    .description('the lookup tables of all services')
    .argument(...CAPTURE_ARGUMENT)
    .action((capture: string | undefined, options: MapOptions) =>
      showMaps(options, capture, (agent) => maglevView(tables(agent))),
    );
  const get = withMapOptions(new Command('get'))
    .description('the lookup table of one service')
    .argument('<service id>', 'its reverse NAT id, as bpf lb list has it', serviceId)
    .argument(...CAPTURE_ARGUMENT)
    .action((id: number, capture: string | undefined, options: MapOptions) =>
      showMaps(options, capture, (agent) => {
        const found = tables(agent).filter(({ revNatId }) => revNatId === id);
        if (found.length === 0) throw new InputError(`No entry found for service ${id}`, { id });
        return maglevView(found);
      }),
    );
  return new Command('maglev').description('Maglev lookup tables').addCommand(list).addCommand(get);
}

function serviceId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || id > 0xffff) throw new InvalidArgumentError('want a number from 0 to 65535.');
  return id;
}

interface Table extends MaglevTable {
  family: 'v4' | 'v6';
}

const tables = ({ memory }: Agent): Table[] =>
  (['v4', 'v6'] as const).flatMap((family) =>
    maglevTables(memory, family === 'v6').map((table) => ({ family, ...table })),
  );

function maglevView(found: readonly Table[]): MapView {
  const rows = dumpTable(
    found.map(({ revNatId, family, backends }) => [`[${revNatId}]/${family}`, `[${backends.join(' ')}]`] as const),
  );
  return { text: tablePrinter('SVC ID', 'LOOKUP TABLE', rows), json: rows };
}
