import protobuf from 'protobufjs';

/** Source: bpf/tests/bpftest/trf.proto. */
const TEST_STATUS = ['ERROR', 'PASS', 'FAIL', 'SKIP'] as const;
export type TestStatus = (typeof TEST_STATUS)[number];

export interface SuiteLog {
  /** With its place in front, its numbers filled in. */
  text: string;
}
export interface SubResult {
  name: string;
  status: TestStatus;
  log: string[];
}
export interface SuiteResult {
  results: SubResult[];
  log: string[];
}

const { root } = protobuf.parse(
  `syntax = "proto3";
   message Log { string fmt = 1; repeated fixed64 args = 2; }
   message TestResult { string name = 1; int32 status = 2; repeated Log test_log = 3; }
   message SuiteResult { repeated TestResult results = 1; repeated Log suite_log = 2; }`,
  { keepCase: true },
);
const SUITE_RESULT = root.lookupType('SuiteResult');
interface RawLog {
  fmt?: string;
  args?: { low: number; high: number; toString(): string }[];
}
interface RawSuite {
  results?: { name?: string; status?: number; test_log?: RawLog[] }[];
  suite_log?: RawLog[];
}

/** What a check program left in `suite_result_map`: messages up to the first byte that starts none. */
export function readSuiteResult(bytes: Uint8Array): SuiteResult {
  const raw = SUITE_RESULT.decode(bytes.subarray(0, messageBytes(bytes))) as RawSuite;
  return {
    results: (raw.results ?? []).map(({ name = '', status = 0, test_log = [] }) => ({
      name: withoutNul(name),
      status: TEST_STATUS[status] ?? 'ERROR',
      log: test_log.map(logText),
    })),
    log: (raw.suite_log ?? []).map(logText),
  };
}

function messageBytes(bytes: Uint8Array): number {
  const reader = protobuf.Reader.create(bytes);
  for (let end = 0; ; end = reader.pos) {
    try {
      const tag = reader.pos < bytes.length ? reader.uint32() : 0;
      if (tag >>> 3 === 0) return end;
      reader.skipType(tag & 7);
    } catch {
      return end;
    }
  }
}

const withoutNul = (text: string): string => text.replace(/\0[\s\S]*$/, '');

/** As Go's runner prints them: without a length prefix a number has 16 bits, with `l` 32, with `ll` 64. */
function logText({ fmt = '', args = [] }: RawLog): string {
  const values = args.map((arg) => BigInt(arg.toString()));
  return withoutNul(fmt).replace(/%(ll|l)?([diuxs])/g, (_all, length: string | undefined, verb: string) => {
    const value = values.shift() ?? 0n;
    const bits = length === 'll' ? 64 : length === 'l' ? 32 : 16;
    if (verb === 'd' || verb === 'i') return BigInt.asIntN(bits, value).toString();
    return BigInt.asUintN(bits, value).toString(verb === 'x' ? 16 : 10);
  });
}
