import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QUESTION, writeQuestion } from '@ciliate/bpf';
import { Memory } from '@ciliate/maps';
import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { formatFilters, formatTrace, parseFilters, parseTrace } from '../bench/classbench.ts';
import { entriesOf, filterOf, PrefixIdentities, readClassBench, saveClassBench } from '../bench/classbench_workload.ts';
import { portPrefixes } from '../bench/port_prefixes.ts';
import { MAX_QUESTIONS } from '../bench/types.ts';
import { defaultSpec, generateEntries } from '../bench/workload.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const folder = mkdtempSync(join(tmpdir(), 'classbench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FILTERS = [
  '@10.0.0.0/8\t192.168.1.0/24\t0 : 65535\t80 : 80\t0x06/0xFF',
  '@10.1.0.0/16\t192.168.1.0/24\t0 : 65535\t1024 : 2047\t0x11/0xFF\t0x0000/0x0000',
  '@0.0.0.0/0\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x01/0xFF',
].join('\n');
const [EIGHT, SIXTEEN] = [0x0100_0001, 0x0100_0002];

test('filters become what they say, and are written as they were read', () => {
  const filters = parseFilters(FILTERS, 'a.filters');
  expect(filters[1]).toEqual({
    src: 0x0a010000,
    srcLen: 16,
    dst: 0xc0a80100,
    dstLen: 24,
    srcPorts: [0, 65535],
    dstPorts: [1024, 2047],
    protocol: 17,
    protocolMask: 255,
  });
  expect(parseFilters(formatFilters(filters), 'b.filters')).toEqual(filters);
});

test.each([
  ['no @', '10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF', /^f:2: not a filter/],
  ['a prefix too long', '@10.0.0.0/33 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF', /^f:2: 10.0.0.0\/33 is not an IPv4 prefix/],
  ['a range the wrong way', '@10.0.0.0/8 0.0.0.0/0 0 : 1 9 : 8 0x06/0xFF', /^f:2: 9 : 8 is not a range of ports/],
  ['half a protocol', '@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xF0', /^f:2: protocol mask 0xf0/],
])('a filter with %s: file, line, cause', (_what, line, message) => {
  expect(() => parseFilters(`\n${line}\n`, 'f')).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  expect(() => parseFilters(`\n${line}\n`, 'f')).toThrow(message);
});

test('a trace is read and written; a bad line is named', () => {
  const packets = parseTrace('167772161 3232235777 1 80 6 0\n', 't');
  expect(packets).toEqual([{ src: 0x0a000001, dst: 0xc0a80101, sport: 1, dport: 80, protocol: 6 }]);
  expect(parseTrace(formatTrace(packets), 't')).toEqual(packets);
  expect(() => parseTrace('1 2 3 4 6\n1 2 3 4\n', 't')).toThrow(/^t:2: not a packet/);
  expect(() => parseTrace('1 2 3 70000 6\n', 't')).toThrow(/^t:1: field 4: 70000: want 0..65535/);
});

test('an identity for each source prefix; a filter allows the prefixes inside its own; any source is identity 0', () => {
  const identities = new PrefixIdentities();
  const entries = entriesOf(parseFilters(FILTERS, 'f'), identities);
  const keys = entries.map((e) => [e.identity, e.protocol, e.dport, e.portPrefixLen]);
  expect(keys).toEqual([
    [EIGHT, 6, 80, 16],
    [SIXTEEN, 6, 80, 16],
    [SIXTEEN, 17, 1024, 6],
    [0, 1, 0, 0],
  ]);
  expect(identities.of(0x0a010203)).toBe(SIXTEEN);
  expect(identities.of(0x0a020203)).toBe(EIGHT);
  expect(identities.of(0x01010101)).toBe(2);
});

test('port ranges: exactly their ports, no two prefixes overlap', () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(port, port, (a, b) => {
      const [low, high] = a < b ? [a, b] : [b, a];
      let next = low;
      for (const { port, length } of portPrefixes(low, high)) {
        expect(port).toBe(next);
        expect(port % 2 ** (16 - length)).toBe(0);
        next += 2 ** (16 - length);
      }
      expect(next).toBe(high + 1);
    }),
    { seed, numRuns: 200 },
  );
});

test('generated entries come back from the file with their ports and protocols', () => {
  const entries = generateEntries(defaultSpec(500, 1)).filter(({ egress }) => !egress);
  const filters = parseFilters(formatFilters(entries.map(filterOf)), 'f');
  const back = entriesOf(filters, new PrefixIdentities());
  const shape = (all: typeof entries) => all.map((e) => [e.protocol, e.dport, e.portPrefixLen]);
  expect(shape(back)).toEqual(shape(entries));
});

test('a saved workload can be asked again: the same packets hit', () => {
  const memory = Memory.create(256 * 1024 * 1024);
  const questions = memory.alloc(MAX_QUESTIONS * QUESTION.size);
  const [entry] = generateEntries({ ...defaultSpec(16, 1), mix: 'exact' }).filter(({ egress }) => !egress);
  const { identity, protocol, dport } = entry!;
  for (let n = 0; n < MAX_QUESTIONS; n++)
    writeQuestion(memory, questions + n * QUESTION.size, identity, false, protocol, n % 4 === 0 ? dport : 1, false);
  saveClassBench(folder, 'one', memory, questions, [entry!]);
  const read = readClassBench(join(folder, 'one.filters'), join(folder, 'one.trace'));
  expect(read.entries).toHaveLength(1);
  expect(read.ask?.(memory, questions)).toEqual({ distinctKeys: 2, hits: 0.25 });
  expect(memory.u32[questions >> 2]).toBe(read.entries[0]?.identity);
  expect(readFileSync(join(folder, 'one.trace'), 'utf8').split('\n')[0]?.split('\t')).toHaveLength(5);
  writeFileSync(join(folder, 'bad.trace'), 'x\n');
  expect(() => readClassBench(join(folder, 'one.filters'), join(folder, 'bad.trace'))).toThrow(/bad.trace:1:/);
});
