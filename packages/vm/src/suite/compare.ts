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

/**
 * One line for each difference from a recording, where the recording is deterministic; none for an object not in it.
 * @param hashesFlows the object's programs ask for bpf_get_hash_recalc, which each kernel answers by a random key of its own: an IPv6
 *                    flow label made of it is not compared
 */
export function compareWithRecording(
  name: string,
  record: ObjectRecord,
  recording: Recording,
  hashesFlows: boolean,
): string[] {
  const want = recording.objects[name];
  if (want === undefined) return [];
  const lines: string[] = [];
  for (const recorded of want.tests) {
    const test = record.tests.find((t) => t.test === recorded.test);
    for (const phase of ['pktgen', 'setup'] as const) {
      if (recorded[phase] !== undefined)
        lines.push(...phaseLines(`${name}: ${recorded.test}: ${phase}`, recorded[phase], test?.[phase], hashesFlows));
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

function phaseLines(
  where: string,
  want: RecordedPhase,
  found: PhaseRecord | undefined,
  hashesFlows: boolean,
): string[] {
  if (found === undefined) return [`${where} did not run`];
  const lines: string[] = [];
  if (want.status_deterministic !== false && want.status !== found.status) {
    lines.push(`${where} answered ${found.status}, recorded ${want.status}`);
  }
  if (want.deterministic === false) return lines;
  const isSame =
    want.data.sha256 === found.data.sha256 ||
    (hashesFlows && found.data.hex !== undefined && unlabelled(found.data.hex) === unlabelled(want.data.hex ?? ''));
  if (!isSame) {
    lines.push(
      `${where}: packet ${found.data.hex ?? found.data.sha256}, recorded ${want.data.hex ?? want.data.sha256}`,
    );
  }
  const fields = (ctx: PhaseRecord['ctx']): string => JSON.stringify(Object.entries(ctx ?? {}).sort());
  if (fields(want.ctx) !== fields(found.ctx))
    lines.push(`${where}: context ${fields(found.ctx)}, recorded ${fields(want.ctx)}`);
  return lines;
}

/** A frame in hex; if it is IPv6, without the 20 bits of the flow label. */
function unlabelled(hex: string): string {
  const ETHERTYPE = 24; // digits in front of it
  const LABEL = 31; // behind the Ethernet header, version and traffic class
  if (hex.slice(ETHERTYPE, ETHERTYPE + 4) !== '86dd') return hex;
  return `${hex.slice(0, LABEL)}00000${hex.slice(LABEL + 5)}`;
}
