import { PerfEventArray, RingBufMap } from '@ciliate/maps';
import { fault } from '../errors.ts';
import type { Machine } from '../machine/machine.ts';
import { EFAULT, EINVAL } from './errno.ts';
import type { Helper } from './helper.ts';
import { formatTrace } from './trace_format.ts';

const CURRENT_CPU = 0xffff_ffff;
/** Bits 32 to 51 of the flags of perf_event_output: how many bytes of the packet go behind the event. */
const CTXLEN = 0x000f_ffff;

const ringBuffer = (machine: Machine, address: number): RingBufMap => {
  const map = machine.map(address);
  if (!(map instanceof RingBufMap)) throw fault(`${map.spec.name} is no ring buffer`);
  return map;
};

/** Clock, randomness, processor, events. */
export const SYSTEM_HELPERS: readonly Helper[] = [
  { id: 5, name: 'ktime_get_ns', args: [], returns: 'clock', run: () => 0 },
  { id: 125, name: 'ktime_get_boot_ns', args: [], returns: 'clock', run: () => 0 },
  { id: 7, name: 'get_prandom_u32', args: [], returns: 'u32', run: (machine) => machine.nextRandom() },
  { id: 8, name: 'get_smp_processor_id', args: [], returns: 'u32', run: (machine) => machine.cpu },
  {
    id: 6,
    name: 'trace_printk',
    args: ['memory', 'size', 'u64', 'u64', 'u64'],
    returns: 'int',
    run(machine, format, size, ...words) {
      const text = formatTrace(machine.memory, format!, size!, words);
      machine.traces.push(text);
      return text.length;
    },
  },
  {
    id: 25,
    name: 'perf_event_output',
    args: ['context', 'map', 'u64', 'memory', 'size'],
    returns: 'int',
    run(machine, _context, address, index, high, data, size) {
      const map = machine.map(address!);
      if (!(map instanceof PerfEventArray)) throw fault(`${map.spec.name} is no perf event array`);
      if ((high! & ~CTXLEN) !== 0) return -EINVAL;
      if (high! > machine.packet.length) return -EFAULT;
      return map.output(index === CURRENT_CPU ? machine.cpu : index!, data!, size!, machine.packet.data, high!);
    },
  },
  {
    id: 130,
    name: 'ringbuf_output',
    args: ['map', 'memory', 'size', 'u64'],
    returns: 'int',
    run: (machine, map, data, size) => ringBuffer(machine, map!).output(data!, size!),
  },
  {
    id: 131,
    name: 'ringbuf_reserve',
    args: ['map', 'u32', 'u64'],
    returns: 'u32',
    run(machine, map, size, flags, high) {
      if ((flags! | high!) !== 0) return 0;
      const at = ringBuffer(machine, map!).reserve(size!);
      if (at !== 0) {
        machine.regions.grant(at, size!, 'record of a ring buffer');
        machine.records.set(at, map!);
      }
      return at;
    },
  },
  {
    id: 132,
    name: 'ringbuf_submit',
    args: ['any', 'u64'],
    returns: 'int',
    run: (m, at) => endRecord(m, at!, 'submit'),
  },
  {
    id: 133,
    name: 'ringbuf_discard',
    args: ['any', 'u64'],
    returns: 'int',
    run: (m, at) => endRecord(m, at!, 'discard'),
  },
];

/** A record says not whose it is: the machine remembers. */
function endRecord(machine: Machine, at: number, how: 'submit' | 'discard'): number {
  const map = machine.records.get(at);
  if (map === undefined) throw fault(`0x${at.toString(16)} is no record of a ring buffer`);
  machine.records.delete(at);
  ringBuffer(machine, map)[how](at);
  return 0;
}
