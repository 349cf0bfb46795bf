export { VmError, type VmErrorCode } from './errors.ts';
export type { Helper, HelperTable } from './helpers/helper.ts';
export { HELPERS } from './helpers/table.ts';
export { Code } from './insn/code.ts';
export { disassemble, type NameOf } from './insn/disasm.ts';
export { encode, type Insn } from './insn/insn.ts';
export { validate } from './insn/validate.ts';
export { Interpreter, type Observer } from './interpreter/interpreter.ts';
export type { LookupEngine, LookupEngineMaker } from './machine/lookup_engine.ts';
export { Machine, type MachineOptions } from './machine/machine.ts';
export { SKB } from './machine/packet.ts';
export type { Registers } from './machine/registers.ts';
export { dumpFunction } from './object/dump.ts';
export { type Image, type LinkOptions, link } from './object/link.ts';
export type { LinkedFunction } from './object/linked.ts';
export { loadObject } from './object/load.ts';
export {
  type BpfObject,
  type FunctionDef,
  isProgram,
  lineAt,
  type MapDef,
  type ProgramType,
  programType,
  type Variable,
  withVariables,
} from './object/object.ts';
export type { MapChange, MapContents } from './run/map_contents.ts';
export { type ProgRun, type ProgRunOptions, progRun } from './run/prog_run.ts';
export { type Breakpoint, Stepper } from './run/stepper.ts';
export { type TestRun, testRun } from './run/test_run.ts';
export { type Engine, Vm, type VmOptions } from './run/vm.ts';
export { compareWithRecording, type Recording } from './suite/compare.ts';
export type { ObjectRecord, TestRecord } from './suite/report.ts';
export { runSuite, type SuiteOptions, type SuiteRun } from './suite/run_suite.ts';
export { findTests, onlyPackets, type SuiteTest, type TestOutcome } from './suite/suite.ts';
export { Compiled } from './translator/compiled.ts';
export { ModuleBuilder, type ModuleFunction } from './translator/module.ts';
export { type TranslateOptions, translate } from './translator/translate.ts';
export { CodeWriter, OP, TYPE } from './translator/wasm.ts';
