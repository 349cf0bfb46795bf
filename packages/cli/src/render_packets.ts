import { joinHostPort } from '@ciliate/packet';
import type { Amount, PacketFlow, PacketsResult, Timings } from '@ciliate/replay';
import { table } from './table.ts';

const FLOWS_SHOWN = 10;

/** What `replay --mode packets` prints without `--json`. */
export function renderPackets(result: PacketsResult): string {
  const { trace, loop, share, complete, judged, received, seed, checksum } = result;
  const of = share === null ? '' : `, share ${share.index}/${share.of} of the connections`;
  const passes = loop === 1 ? '' : ` in ${loop} passes`;
  const also = received === 0 ? '' : `; ${received} that pods received were judged where they were sent`;
  return [
    `${trace.packets} packets, ${bytesText(trace.bytes)}${passes}${of}: ${judged.packets} judged${also}\n`,
    complete ? '' : 'ENDED BEFORE THE TRACE WAS: this is what was judged until then\n',
    `\n${amounts('CAME IN BY', result.hooks, judged.packets)}`,
    `\n${amounts('WENT', result.fates, judged.packets)}`,
    renderDrops(result),
    renderFlows(result),
    renderEvents(result),
    result.timings === undefined ? '' : renderTimings(result.timings),
    `seed ${seed}, checksum ${checksum.toString(16).padStart(8, '0')}\n`,
  ].join('');
}

function amounts(title: string, named: Readonly<Record<string, Amount>>, all: number): string {
  const rows = Object.entries(named).filter(([, { packets }]) => packets > 0);
  return table(
    [title, 'PACKETS', 'SHARE', 'BYTES'],
    rows.map(([name, { packets, bytes }]) => [name, `${packets}`, percent(packets / all), bytesText(bytes)]),
  );
}

function renderDrops({ drops }: PacketsResult): string {
  if (drops.length === 0) return '';
  const rows = drops.map(({ code, reason, packets, bytes }) => [`${code}`, reason, `${packets}`, bytesText(bytes)]);
  return `\n${table(['CODE', 'DROP REASON', 'PACKETS', 'BYTES'], rows)}`;
}

function renderFlows({ flows: { connections, forgotten, top } }: PacketsResult): string {
  const rows = top
    .slice(0, FLOWS_SHOWN)
    .map((flow) => [
      flow.protocol,
      end(flow.source, flow.sourcePort),
      end(flow.destination, flow.destinationPort),
      `${flow.packets}`,
      bytesText(flow.bytes),
      fatesText(flow),
    ]);
  const small = forgotten === 0 ? '' : `; ${forgotten} small ones had no place in the table any more`;
  return [
    `\n${table(['PROTO', 'FROM', 'TO', 'PACKETS', 'BYTES', 'WENT'], rows)}`,
    `the largest of ${connections} connections${small}\n`,
  ].join('');
}

const end = (name: string, port: number): string => (port === 0 ? name : joinHostPort(name, port));

function fatesText({ fates, lastDrop }: PacketFlow): string {
  const parts = Object.entries(fates).map(([fate, packets]) => `${fate} ${packets}`);
  return lastDrop === undefined ? parts.join(', ') : `${parts.join(', ')} (${lastDrop.code} ${lastDrop.reason})`;
}

function renderEvents({ events: { read, lost } }: PacketsResult): string {
  if (read === 0) return `\nevents: ${lost}, which nobody read (--flows reads them)\n`;
  return `\nevents: ${read} read, ${lost} lost\n`;
}

function renderTimings(timings: Timings): string {
  const { workers, elapsedNs, packetsPerSecond, nsPerPacket, batch, clockNs, residentBytes } = timings;
  const { mean, p50, p90, p99, p999 } = nsPerPacket;
  const seconds = (ns: number): string => `${(ns / 1e9).toFixed(2)} s`;
  const ns = (value: number): string => `${value.toFixed(0)} ns`;
  return [
    `${perSecond(packetsPerSecond)} with ${workers} workers in ${seconds(elapsedNs)}; `,
    `memory at most ${bytesText(residentBytes)}\n`,
    `each packet, in a worker: mean ${ns(mean)}, p50 ${ns(p50)}, p90 ${ns(p90)}, p99 ${ns(p99)}, p99.9 ${ns(p999)} `,
    `(means over ${batch} packets each, of which asking the clock is ${clockNs.toFixed(1)} ns)\n`,
    `where the time of all workers went: reading ${seconds(timings.reading)}, steering ${seconds(timings.steering)}, `,
    `programs ${seconds(timings.programs)}, waiting ${seconds(timings.waiting)}\n`,
  ].join('');
}

const perSecond = (packets: number): string =>
  packets < 1e5 ? `${packets.toFixed(0)} packets/s` : `${(packets / 1e6).toFixed(3)} M packets/s`;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function bytesText(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  if (bytes < 1e7) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e10 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
