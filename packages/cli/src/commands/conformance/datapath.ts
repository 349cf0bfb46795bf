import { isDecision, type Outcome, pathOf, runScenario, type Scenario, type Step, type StepResult } from '@ciliate/bpf';
import { hexOf } from '@ciliate/maps';
import { decisionText, headersOf, type Names } from '@ciliate/replay';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { valuesOf } from '../../conformance/files.ts';
import { JSON_LINES, setCommand } from '../../conformance/set_command.ts';
import type { Side, Tally } from '../../conformance/tally.ts';

export function datapathSet(): Command {
  const description = "packets through the programs: return codes, bytes, events and maps as Cilium's own left them";
  return setCommand('datapath', { description, files: JSON_LINES }, (file, tally) => {
    for (const { value, where } of valuesOf(file)) {
      tally.case();
      checkScenario(scenarioOf(value, where), where, tally);
    }
  });
}

/** Only what the scenario says itself counts, not the name of its configuration. @throws InputError if parts are missing */
function scenarioOf(value: unknown, where: string): Scenario {
  const fields = new Fields(value, where);
  fields.text('name');
  fields.object('node');
  fields.object('config').texts('defines');
  for (const list of ['endpoints', 'ipcache', 'lxc_map', 'services', 'auth_map', 'node_map']) fields.list(list);
  for (const step of fields.all('steps')) {
    if (step.oneOf('op', 'packet', 'advance_clock', 'map_set', 'map_delete') !== 'packet') continue;
    step.text('packet_hex');
    step.object('expect');
  }
  return value as Scenario;
}

function checkScenario(scenario: Scenario, where: string, tally: Tally): void {
  const place = `${where}: ${scenario.name}`;
  const packets = scenario.steps.filter(({ op }) => op === 'packet');
  let results: StepResult[];
  try {
    results = runScenario(scenario);
  } catch (error) {
    // What cannot be played agrees with nothing.
    tally.count('not played', 0, packets.length);
    tally.disagreement(place, [['ciliate', error instanceof Error ? error.message : String(error)]]);
    return;
  }
  for (const { index, expected, actual, agrees } of results) {
    const step = scenario.steps[index]!;
    if (step.op !== 'packet') continue;
    tally.count(step.hook, Number(agrees), 1);
    if (agrees) continue;
    const sides = [...packetSides(step.packet_hex), ...outcomeSides(actual, expected), ...pathSides(scenario, index)];
    tally.disagreement(`${place}: steps[${index}], ${step.hook}`, sides);
  }
}

/** The packet that went in, decoded. */
function packetSides(hex: string): Side[] {
  const headers = headersOf(Buffer.from(hex, 'hex'));
  return [...headers.map(({ name, text }): Side => [name, text]), ['bytes', hex]];
}

/** What differs, of both. */
const outcomeSides = (ours: Outcome, theirs: Outcome): Side[] =>
  Object.keys({ ...theirs, ...ours })
    .filter((aspect) => ours[aspect] !== theirs[aspect])
    .flatMap((aspect): Side[] => [
      ['ciliate', `${aspect}: ${ours[aspect] ?? '(nothing)'}`],
      ['cilium', `${aspect}: ${theirs[aspect] ?? '(nothing)'}`],
    ]);

/** Scenarios know no pods and labels. */
const NAMES: Names = { endpoint: (id) => (id === 0 ? 'the host' : `endpoint ${id}`), labels: () => '' };

const pathSides = (scenario: Scenario, index: number): Side[] =>
  pathOf(scenario, index).flatMap((step): Side[] => {
    const text = stepText(step);
    return text === undefined ? [] : [['path', text]];
  });

function stepText(step: Step): string | undefined {
  if (isDecision(step)) return `${NAMES.endpoint(step.endpoint)}: ${decisionText(NAMES, step).replace(/: $/, '')}`;
  if (step.kind !== 'map') return undefined;
  return `${step.access} ${step.map} ${hexOf(step.key)}: ${step.value === undefined ? 'nothing' : hexOf(step.value)}`;
}
