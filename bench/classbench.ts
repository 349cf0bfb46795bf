/**
 * ClassBench's two text formats. A filter is one line
 *   @SRC/LEN <tab> DST/LEN <tab> LO : HI <tab> LO : HI <tab> 0xPROTO/0xMASK [<tab> anything]
 * (source and destination prefix, source and destination port range); a trace line is
 *   SRC DST SPORT DPORT PROTO [FILTER]
 * in decimal numbers, the last one the filter that it was made from. Source: the ClassBench paper (Taylor and Turner).
 */
import { readFileSync } from 'node:fs';

export interface Filter {
  /** Host order. */
  src: number;
  srcLen: number;
  dst: number;
  dstLen: number;
  srcPorts: [low: number, high: number];
  dstPorts: [low: number, high: number];
  protocol: number;
  /** 0xff = exactly this protocol, 0 = any. */
  protocolMask: number;
}

export interface TracePacket {
  /** Host order. */
  src: number;
  dst: number;
  sport: number;
  dport: number;
  protocol: number;
}

/** A line that is no filter or no packet. The message begins with file and line. */
export class ClassBenchError extends Error {
  override readonly name = 'ClassBenchError';
  readonly code = 'BAD_INPUT';
  readonly context: Readonly<{ file: string; line: number }>;

  constructor(file: string, line: number, message: string) {
    super(`${file}:${line}: ${message}`);
    this.context = { file, line };
  }
}

const FILTER =
  /^@(\S+)\s+(\S+)\s+(\d+)\s*:\s*(\d+)\s+(\d+)\s*:\s*(\d+)\s+0x([0-9a-f]{1,2})\/0x([0-9a-f]{1,2})(?:\s.*)?$/i;

/** @throws ClassBenchError */
export function parseFilters(text: string, file: string): Filter[] {
  return lines(text).map(([line, at]) => {
    const fail = (message: string): never => {
      throw new ClassBenchError(file, at, message);
    };
    const found = FILTER.exec(line);
    if (found === null) return fail('not a filter, which is `@SRC/LEN DST/LEN LO : HI LO : HI 0xPROTO/0xMASK`');
    const [, src, dst, ...numbers] = found as unknown as [string, string, string, ...string[]];
    const [slo, shi, dlo, dhi] = numbers.slice(0, 4).map(Number) as [number, number, number, number];
    const [protocol, protocolMask] = numbers.slice(4).map((hex) => Number.parseInt(hex, 16)) as [number, number];
    for (const [low, high] of [
      [slo, shi],
      [dlo, dhi],
    ] as const)
      if (high > 65_535 || low > high) fail(`${low} : ${high} is not a range of ports`);
    if (protocolMask !== 0 && protocolMask !== 0xff) fail(`protocol mask 0x${protocolMask.toString(16)}: 0x00 or 0xFF`);
    const [from, to] = [prefix(src, fail), prefix(dst, fail)];
    const ports = { srcPorts: [slo, shi], dstPorts: [dlo, dhi] } satisfies Partial<Filter>;
    return { src: from.ip, srcLen: from.len, dst: to.ip, dstLen: to.len, ...ports, protocol, protocolMask } as Filter;
  });
}

export function formatFilters(filters: readonly Filter[]): string {
  return filters.map((f) => `${formatFilter(f)}\n`).join('');
}

function formatFilter(f: Filter): string {
  const hex = (byte: number): string => `0x${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  const prefixes = [`@${dotted(f.src)}/${f.srcLen}`, `${dotted(f.dst)}/${f.dstLen}`];
  const ports = [f.srcPorts.join(' : '), f.dstPorts.join(' : ')];
  return [...prefixes, ...ports, `${hex(f.protocol)}/${hex(f.protocolMask)}`].join('\t');
}

/** @throws ClassBenchError */
export function parseTrace(text: string, file: string): TracePacket[] {
  const limits = [0xffff_ffff, 0xffff_ffff, 0xffff, 0xffff, 0xff, Number.MAX_SAFE_INTEGER];
  return lines(text).map(([line, at]) => {
    const fields = line.split(/\s+/);
    if (fields.length < 5 || fields.length > 7)
      throw new ClassBenchError(file, at, 'not a packet, which is `SRC DST SPORT DPORT PROTO`, in decimal');
    const numbers = fields.slice(0, 5).map((field, n) => {
      const value = /^\d+$/.test(field) ? Number(field) : Number.NaN;
      if (!(value <= limits[n]!)) throw new ClassBenchError(file, at, `field ${n + 1}: ${field}: want 0..${limits[n]}`);
      return value;
    });
    const [src, dst, sport, dport, protocol] = numbers as [number, number, number, number, number];
    return { src, dst, sport, dport, protocol };
  });
}

export function formatTrace(packets: readonly TracePacket[]): string {
  return packets.map((p) => `${[p.src, p.dst, p.sport, p.dport, p.protocol].join('\t')}\n`).join('');
}

/** @throws ClassBenchError also if the file cannot be read */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ClassBenchError(file, 0, `cannot be read: ${(error as Error).message}`);
  }
}

/** Lines with something on them, and their numbers. */
function lines(text: string): [line: string, at: number][] {
  return text.split('\n').flatMap((line, n) => (line.trim() === '' ? [] : [[line.trim(), n + 1]]));
}

function prefix(text: string, fail: (message: string) => never): { ip: number; len: number } {
  const found = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(text);
  const parts = (found ?? []).slice(1).map(Number);
  const [a = 256, b = 256, c = 256, d = 256, len = 33] = parts;
  if (Math.max(a, b, c, d) > 255 || len > 32) return fail(`${text} is not an IPv4 prefix`);
  return { ip: ((a << 24) | (b << 16) | (c << 8) | d) >>> 0, len };
}

const dotted = (ip: number): string => [ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255].join('.');
