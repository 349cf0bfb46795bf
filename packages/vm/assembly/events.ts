/* Events into the ring of this worker: see perf_event_array.ts and event_ring.ts of the room maps. */
import { EFAULT, EINVAL, packetData, packetLength } from './packet';

// @ts-ignore: helper 25 in TypeScript
@external("env", "output") declare function outputBySlow(context: u32, map: u32, index: u32, high: u32, data: u32, size: u32): i32;
// @ts-ignore: the address of the machine's words
@external("env", "state") declare const STATE: u32;
const CPU: u32 = 4;

const ENOENT: i32 = -2;
const E2BIG: i32 = -7;
const ENOSPC: i32 = -28;
const CURRENT_CPU: u32 = 0xffff_ffff;
const CTXLEN: u32 = 0x000f_ffff;
const PERF_EVENT_ARRAY: u32 = 4;

// Of a map's header.
const MAGIC: u32 = 0x5046_4243;
const TYPE: u32 = 4;
const MAX_ENTRIES: u32 = 16;
const ELEMENTS: u32 = 24;
// Of a ring; in front of each record its length, padded to 8.
const BYTES: u32 = 4;
const HEAD: u32 = 8;
const TAIL: u32 = 12;
const LOST: u32 = 16;
const RECORDS: u32 = 64;
const RECORD_HEADER: u32 = 8;
const SKIP: u32 = 0xffff_ffff;

export function helper_25(context: u32, map: u32, index: u32, high: u32, data: u32, size: u32): i32 {
  if (map === 0 || (map & 7) !== 0 || load<u32>(map) !== MAGIC || load<u32>(map, TYPE) !== PERF_EVENT_ARRAY)
    return outputBySlow(context, map, index, high, data, size);
  if ((high & ~CTXLEN) !== 0) return EINVAL;
  if (high > packetLength()) return EFAULT;
  const cpu = index === CURRENT_CPU ? load<u32>(STATE, CPU) : index;
  if (cpu >= load<u32>(map, MAX_ENTRIES)) return E2BIG;
  const ring = load<u32>(load<u32>(map, ELEMENTS) + (cpu << 2));
  return ring === 0 ? ENOENT : output(ring, data, size, packetData(), high);
}

function output(ring: u32, at1: u32, len1: u32, at2: u32, len2: u32): i32 {
  const head = load<u32>(ring, HEAD);
  const bytes = load<u32>(ring, BYTES);
  const need = RECORD_HEADER + ((len1 + len2 + 7) & ~7);
  const offset = head & (bytes - 1);
  const skip: u32 = need > bytes - offset ? bytes - offset : 0;
  if (<u64>skip + <u64>need > <u64>bytes - <u64>(head - atomic.load<u32>(ring + TAIL))) {
    atomic.add<u32>(ring + LOST, 1);
    return ENOSPC;
  }
  if (skip > 0) store<u32>(ring + offset, SKIP, RECORDS);
  const record = ring + RECORDS + (skip > 0 ? 0 : offset);
  store<u32>(record, len1 + len2);
  memory.copy(record + RECORD_HEADER, at1, len1);
  memory.copy(record + RECORD_HEADER + len1, at2, len2);
  atomic.store<u32>(ring + HEAD, head + skip + need);
  return 0;
}
