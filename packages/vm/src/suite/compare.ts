import type { ObjectRecord, PhaseRecord } from './report.ts';

/** A recording also says what was the same in each of its runs; what is not named was. */
type Recorded<T> = T & { deterministic?: boolean };
export interface Recording {
  objects: Record<
    string,
    {
      tests: (Recorded<Omit<ObjectRecord['tests'][number], 'pktgen' | 'setup'>> & {
        pktgen?: RecordedPhase;
        setup?: RecordedPhase;
      })[];
      maps_after_all_tests: Record<string, Recorded<ObjectRecord['maps_after_all_tests'][string]>>;
    }
  >;
}
type RecordedPhase = Recorded<PhaseRecord> & { status_deterministic?: boolean };

/** One line for each difference from a recording, where the recording is deterministic; none for an object not in it. */
export function compareWithRecording(name: string, record: ObjectRecord, recording: Recording): string[] {
  const want = recording.objects[name];
  if (want === undefined) return [];
  const lines: string[] = [];
  for (const recorded of want.tests) {
    const test = record.tests.find((t) => t.test === recorded.test);
    for (const phase of ['pktgen', 'setup'] as const) {
      if (recorded[phase] !== undefined)
        lines.push(...phaseLines(`${name}: ${recorded.test}: ${phase}`, recorded[phase], test?.[phase]));
    }
    if (recorded.check_status !== test?.check_status) {
      lines.push(`${name}: ${recorded.test}: check answered ${test?.check_status}, recorded ${recorded.check_status}`);
    }
  }
  for (const [map, { deterministic, entries_key_eq_value_hex_max64: entries }] of Object.entries(
    want.maps_after_all_tests,
  )) {
    const found = record.maps_after_all_tests[map]?.entries_key_eq_value_hex_max64 ?? [];
    if (deterministic === false || `${found}` === `${entries}`) continue;
    lines.push(`${name}: ${map}: holds ${found.join(' ') || 'nothing'}, recorded ${entries.join(' ')}`);
  }
  return lines;
}

function phaseLines(where: string, want: RecordedPhase, found: PhaseRecord | undefined): string[] {
  if (found === undefined) return [`${where} did not run`];
  const lines: string[] = [];
  if (want.status_deterministic !== false && want.status !== found.status) {
    lines.push(`${where} answered ${found.status}, recorded ${want.status}`);
  }
  if (want.deterministic === false) return lines;
  if (want.data.sha256 !== found.data.sha256) {
    lines.push(
      `${where}: packet ${found.data.hex ?? found.data.sha256}, recorded ${want.data.hex ?? want.data.sha256}`,
    );
  }
  const fields = (ctx: PhaseRecord['ctx']): string => JSON.stringify(Object.entries(ctx ?? {}).sort());
  if (fields(want.ctx) !== fields(found.ctx))
    lines.push(`${where}: context ${fields(found.ctx)}, recorded ${fields(want.ctx)}`);
  return lines;
}
