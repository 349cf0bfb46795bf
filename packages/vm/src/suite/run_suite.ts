import type { LookupEngineMaker } from '../machine/lookup_engine.ts';
import { loadObject } from '../object/load.ts';
import { programType } from '../object/object.ts';
import { type Engine, Vm } from '../run/vm.ts';
import { type ObjectRecord, objectRecord } from './report.ts';
import { findTests, onlyPackets, runTest, type TestOutcome } from './suite.ts';

export interface SuiteOptions {
  engine: Engine;
  seed: number;
  /** See `VmOptions`. */
  lookupEngines?: ReadonlyMap<string, LookupEngineMaker>;
}

export interface SuiteRun {
  outcomes: TestOutcome[];
  record: ObjectRecord;
  /** See `compareWithRecording`. */
  hashesFlows: boolean;
}

/** A helper's number. */
const GET_HASH_RECALC = 34;
/** What the clock shows at the start: an hour, so that no time of Cilium's is 0. */
const START_NS = 3_600_000_000_000n;

/**
 * Runs all tests of an object as Cilium's own runner does: its maps are made once, and keep what one test left for the
 * next. @param name for messages. @throws VmError BAD_INPUT for an object that cannot be loaded
 */
export function runSuite(bytes: Uint8Array, name: string, options: SuiteOptions): SuiteRun {
  const vm = new Vm(options);
  vm.machine.memory.nowNs = START_NS;
  const image = vm.load(onlyPackets(loadObject(bytes, name)));
  const tests = findTests(image);
  const outcomes = tests.map((test) => runTest(vm, image, test));
  const isXdp = tests.some(({ check }) => programType(check.def.section) === 'xdp');
  const hashesFlows = [...image.functions.values()].some(({ code }) => code.helpers().has(GET_HASH_RECALC));
  return { outcomes, record: objectRecord(image, outcomes, isXdp), hashesFlows };
}
