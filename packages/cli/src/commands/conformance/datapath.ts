import {
  type CiliumObjects,
  isDecision,
  type Outcome,
  pathOf,
  runScenario,
  runScenarioWithObjects,
  type Scenario,
  type Step,
  type StepResult,
} from '@ciliate/bpf';
import { InputError } from '@ciliate/k8s';
import { hexOf } from '@ciliate/maps';
import { decisionText, headersOf, type Names } from '@ciliate/replay';
import { type Command, Option } from 'commander';
import { buildObjects, readObjects } from '../../cilium_objects.ts';
import { Fields } from '../../conformance/fields.ts';
import { valuesOf } from '../../conformance/files.ts';
import { JSON_LINES, setCommand } from '../../conformance/set_command.ts';
import type { Side, Tally } from '../../conformance/tally.ts';

interface DatapathOptions {
  objects?: string;
  build?: string;
}

export function datapathSet(): Command {
  const description = "packets through the programs: return codes, bytes, events and maps as Cilium's own left them";
  const options = [
    new Option(
      '--objects <folder>',
      "also through Cilium's own programs, compiled: DIR/CONFIGURATION/bpf_lxc.o and so on",
    ),
    new Option('--build <checkout>', 'of Cilium: with clang, make the objects that the folder does not have'),
  ];
  return setCommand<DatapathOptions>('datapath', { description, files: JSON_LINES, options }, (file, tally, given) => {
    if (given.build !== undefined && given.objects === undefined) throw new InputError('--build needs --objects', {});
    const objects = given.objects === undefined ? undefined : new ObjectFolder(given.objects, given.build);
    for (const { value, where } of valuesOf(file)) {
      tally.case();
      const scenario = scenarioOf(value, where);
      checkScenario(scenario, where, tally);
      if (objects !== undefined) checkObjects(scenario, where, tally, objects);
    }
  });
}

/** Objects by configuration, read or made once. */
class ObjectFolder {
  readonly #folder: string;
  readonly #checkout: string | undefined;
  readonly #known = new Map<string, CiliumObjects | undefined>();

  constructor(folder: string, checkout: string | undefined) {
    this.#folder = folder;
    this.#checkout = checkout;
  }

  /** @returns undefined if there are none. @throws InputError if they cannot be built */
  of(scenario: Scenario): CiliumObjects | undefined {
    const { name } = scenario.config;
    if (!this.#known.has(name)) {
      let objects = readObjects(this.#folder, name);
      if (objects === undefined && this.#checkout !== undefined) {
        buildObjects(this.#checkout, this.#folder, scenario);
        objects = readObjects(this.#folder, name);
      }
      this.#known.set(name, objects);
    }
    return this.#known.get(name);
  }
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
  const results = played(scenario, where, tally, 'ciliate', () => runScenario(scenario));
  for (const { index, expected, actual, agrees } of results) {
    const step = scenario.steps[index]!;
    if (step.op !== 'packet') continue;
    tally.count(step.hook, Number(agrees), 1);
    if (agrees) continue;
    const sides = outcomeSides({ ciliate: actual, cilium: expected });
    tally.disagreement(`${where}: ${scenario.name}: steps[${index}], ${step.hook}`, [
      ...packetSides(step.packet_hex),
      ...sides,
      ...pathSides(scenario, index),
    ]);
  }
}

/** The second opinion: Cilium's programs in the VM beside the recording; where they differ, ours too. */
function checkObjects(scenario: Scenario, where: string, tally: Tally, folder: ObjectFolder): void {
  const objects = folder.of(scenario);
  const packets = scenario.steps.filter(({ op }) => op === 'packet');
  if (objects === undefined) {
    tally.count(`no objects of ${scenario.config.name}`, 0, packets.length);
    return;
  }
  const results = played(scenario, where, tally, 'objects', () => runScenarioWithObjects(scenario, objects));
  const ours = results.every(({ agrees }) => agrees) ? [] : runScenario(scenario);
  for (const [n, { index, expected, actual, agrees }] of results.entries()) {
    const step = scenario.steps[index]!;
    if (step.op !== 'packet') continue;
    tally.count(`objects: ${step.hook}`, Number(agrees), 1);
    if (agrees) continue;
    const sides = outcomeSides({ objects: actual, recorded: expected, ciliate: ours[n]!.actual });
    const place = `${where}: ${scenario.name}: steps[${index}], ${step.hook}, objects`;
    tally.disagreement(place, [...packetSides(step.packet_hex), ...sides]);
  }
}

/** What cannot be played agrees with nothing. */
function played(
  scenario: Scenario,
  where: string,
  tally: Tally,
  who: string,
  play: () => StepResult[],
): readonly StepResult[] {
  try {
    return play();
  } catch (error) {
    const packets = scenario.steps.filter(({ op }) => op === 'packet');
    tally.count('not played', 0, packets.length);
    tally.disagreement(`${where}: ${scenario.name}`, [[who, error instanceof Error ? error.message : String(error)]]);
    return [];
  }
}

/** The packet that went in, decoded. */
function packetSides(hex: string): Side[] {
  const headers = headersOf(Buffer.from(hex, 'hex'));
  return [...headers.map(({ name, text }): Side => [name, text]), ['bytes', hex]];
}

/** What differs, of all sides. */
function outcomeSides(sides: Readonly<Record<string, Outcome>>): Side[] {
  const all = Object.values(sides);
  return Object.keys(Object.assign({}, ...all))
    .filter((aspect) => all.some((side) => side[aspect] !== all[0]![aspect]))
    .flatMap((aspect) =>
      Object.entries(sides).map(([who, side]): Side => [who, `${aspect}: ${side[aspect] ?? '(nothing)'}`]),
    );
}

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
