import { ArrayMap, type BpfMap } from '@ciliate/maps';
import { badInput, VmError } from '../errors.ts';
import { SKB } from '../machine/packet.ts';
import type { Image } from '../object/link.ts';
import type { LinkedFunction } from '../object/linked.ts';
import { type BpfObject, programType } from '../object/object.ts';
import { MAX_INPUT, type TestRun, testRun } from '../run/test_run.ts';
import type { Vm } from '../run/vm.ts';
import { readSuiteResult, type SubResult } from './results.ts';

const TEST_SECTION = /[^/]+\/test\/([^/]+)\/(check|setup|pktgen)$/;
const RESULT_MAP = 'suite_result_map';
/** Zeroed after each test, as the results are. */
const META_MAP = 'mock_skb_meta_map';
const STATUS = { ERROR: 0, PASS: 1, FAIL: 2, SKIP: 3 } as const;

export interface SuiteTest {
  name: string;
  check: LinkedFunction;
  setup?: LinkedFunction;
  pktgen?: LinkedFunction;
}

export interface TestOutcome {
  name: string;
  verdict: 'pass' | 'fail' | 'skip';
  pktgen?: TestRun;
  setup?: TestRun;
  check?: TestRun;
  results: SubResult[];
  /** What went wrong, and what the test logged. */
  messages: string[];
}

/** The object without programs of other kinds (cgroup/...), as Cilium's own runner loads it. */
export function onlyPackets(object: BpfObject): BpfObject {
  const functions = [...object.functions].filter(
    ([, fn]) => fn.section === '.text' || programType(fn.section) !== 'other',
  );
  return { ...object, functions: new Map(functions) };
}

/** The tests of an object in the order in which they run: by the bytes of their names. @throws VmError BAD_INPUT */
export function findTests(image: Image): SuiteTest[] {
  const tests = new Map<string, Partial<SuiteTest>>();
  for (const fn of image.functions.values()) {
    const match = TEST_SECTION.exec(fn.def.section);
    if (match === null) continue;
    const [, name, role] = match as unknown as [string, string, 'check' | 'setup' | 'pktgen'];
    const test = tests.get(name) ?? { name };
    test[role] = fn; // of two with one section name, the last: so does Cilium's own runner
    tests.set(name, test);
  }
  const found = [...tests.values()].map((test) => {
    if (test.check === undefined) throw badInput(`${image.object.name}: test ${test.name} has no check program`);
    return test as SuiteTest;
  });
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

/** Runs one test: pktgen makes the packet, setup sends it through the program under test, check looks at what came out. */
export function runTest(vm: Vm, image: Image, test: SuiteTest): TestOutcome {
  const outcome: TestOutcome = { name: test.name, verdict: 'fail', results: [], messages: [] };
  const kind = programType(test.check.def.section) === 'xdp' ? 'xdp' : 'tc';
  let data: Uint8Array = new Uint8Array(MAX_INPUT);
  let context: Uint8Array = new Uint8Array(SKB.size);
  const phase = (fn: LinkedFunction): TestRun => {
    const result = testRun(vm, fn, kind, data, { context });
    ({ data, context } = result);
    return result;
  };
  try {
    if (test.pktgen !== undefined) outcome.pktgen = phase(test.pktgen);
    if (test.setup !== undefined) {
      outcome.setup = phase(test.setup);
      data = withStatus(outcome.setup.status, data);
    }
    outcome.check = phase(test.check);
    readResults(image, outcome);
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    outcome.messages.push(error.message);
  }
  clear(image.maps.get(RESULT_MAP));
  clear(image.maps.get(META_MAP));
  return outcome;
}

function withStatus(status: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + data.length);
  new DataView(bytes.buffer).setUint32(0, status, true);
  bytes.set(data, 4);
  return bytes;
}

/** The suite answers PASS also when one of its parts failed: both count. */
function readResults(image: Image, outcome: TestOutcome): void {
  const map = image.maps.get(RESULT_MAP);
  if (map !== undefined) {
    const { results, log } = readSuiteResult(firstValue(map));
    outcome.results = results;
    outcome.messages.push(...log, ...results.flatMap((r) => r.log.map((line) => `${r.name}: ${line}`)));
  }
  const status = outcome.check!.status;
  const isBad = outcome.results.some((r) => r.status !== 'PASS' && r.status !== 'SKIP');
  if (status === STATUS.SKIP) outcome.verdict = 'skip';
  else if (status === STATUS.PASS && !isBad) outcome.verdict = 'pass';
  else outcome.messages.push(`check answered ${status}`);
}

function firstValue(map: BpfMap): Uint8Array {
  const { value } = [...map.entries()][0]!; // an array has at least one
  return map.memory.u8.subarray(value, value + map.spec.valueSize);
}

function clear(map: BpfMap | undefined): void {
  if (map instanceof ArrayMap) firstValue(map).fill(0);
}
