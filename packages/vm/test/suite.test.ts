import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compareWithRecording, loadObject, runSuite, VmError } from '../src/index.ts';
import { Vm } from '../src/run/vm.ts';
import { findTests } from '../src/suite/suite.ts';

const bytes = readFileSync(new URL('fixtures/suite.bpf.o', import.meta.url));

describe.each(['compiled', 'checked', 'interpreter'] as const)('%s', (engine) => {
  const { outcomes, record } = runSuite(bytes, 'suite.bpf.o', { engine, seed: 1 });
  const outcome = (name: string) => outcomes.find((o) => o.name === name)!;

  test('tests run in the order of the bytes of their names, on maps and variables that are kept', () => {
    expect(outcomes.map(({ name, verdict }) => `${name} ${verdict}`)).toEqual([
      '0_skipped skip',
      '10_first pass',
      '15_setup_only pass',
      '1_second pass',
      '2_third fail',
      '3_answer fail',
    ]);
  });

  test('packet, context and setup’s answer go from phase to phase', () => {
    expect(record.tests[1]).toMatchObject({
      test: '10_first',
      check_status: 1,
      pktgen: { status: 99, data: { len: 60 }, ctx: { mark: 7, ifindex: 1, wire_len: 3520 } },
      setup: { status: 7, data: { len: 60 }, ctx: { mark: 7, cb1: 15, ifindex: 1, wire_len: 3520 } },
      results: [{ name: 'part', status: 'PASS' }],
    });
  });

  test('a test whose part failed has failed, and its log is told', () => {
    expect(outcome('2_third').results).toEqual([{ name: 'part', status: 'FAIL', log: ['f:1: saw 9029'] }]);
    expect(outcome('2_third').messages).toContain('part: f:1: saw 9029');
  });

  test('results are cleared after each test', () => {
    expect(outcome('3_answer').results).toEqual([]);
    expect(outcome('3_answer').messages).toEqual(['check answered 2']);
  });

  test('a recording differs where it is deterministic only', () => {
    const recording = { objects: { 'suite.bpf.o': structuredClone(record) } };
    expect(compareWithRecording('suite.bpf.o', record, recording, false)).toEqual([]);
    const first = recording.objects['suite.bpf.o'].tests[1]!;
    first.setup!.status = 0;
    first.pktgen!.data.sha256 = 'other';
    expect(compareWithRecording('suite.bpf.o', record, recording, false)).toEqual([
      expect.stringContaining('10_first: pktgen: packet'),
      'suite.bpf.o: 10_first: setup answered 7, recorded 0',
    ]);
    Object.assign(first.pktgen!, { deterministic: false });
    Object.assign(first.setup!, { status_deterministic: false });
    expect(compareWithRecording('suite.bpf.o', record, recording, false)).toEqual([]);
  });
});

test('an IPv6 flow label counts only where no program asks for the hash that a kernel keys at random', () => {
  const { record } = runSuite(bytes, 'suite.bpf.o', { engine: 'compiled', seed: 1 });
  const frame = (start: string): string => `${'00'.repeat(12)}${start}${'11'.repeat(40)}`;
  const differences = (ours: string, theirs: string, hashesFlows: boolean): number => {
    const [found, recorded] = [ours, theirs].map((hex) => {
      const copy = structuredClone(record);
      Object.assign(copy.tests[1]!.pktgen!.data, { hex, sha256: hex });
      return copy;
    });
    return compareWithRecording('o', found!, { objects: { o: recorded! } }, hashesFlows).length;
  };
  const [one, other] = [frame('86dd60012345'), frame('86dd600abcde')];
  expect(differences(one, other, true)).toBe(0);
  expect(differences(one, other, false)).toBe(1);
  expect(differences(one, frame('86dd61012345'), true)).toBe(1); // the traffic class
  expect(differences(frame('080060012345'), frame('0800600abcde'), true)).toBe(1);
});

test('a test without a check program is refused', () => {
  const object = loadObject(bytes, 'suite.bpf.o');
  object.functions.delete('third_check');
  object.functions.delete('answer_check');
  object.functions.delete('only_check');
  expect(() => findTests(new Vm().load(object))).toThrow(
    new VmError('BAD_INPUT', 'suite.bpf.o: test 15_setup_only has no check program'),
  );
});
