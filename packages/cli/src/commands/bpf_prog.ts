import { existsSync, readFileSync } from 'node:fs';
import { InputError } from '@ciliate/k8s';
import { openCapture } from '@ciliate/packet';
import {
  type Breakpoint,
  dumpFunction,
  type Engine,
  type LookupEngineMaker,
  type ProgRun,
  progRun,
  Stepper,
} from '@ciliate/vm';
import { Command, InvalidArgumentError } from 'commander';
import { engineOption, mapEngineOption, readObject } from '../bpf_objects.ts';
import { positive, type RunOptions, toJson, withRunOptions } from '../options.ts';

interface ProgRunCommandOptions extends RunOptions {
  prog: string;
  packet: string;
  map?: string;
  repeat: number;
  engine: Engine;
  mapEngine?: ReadonlyMap<string, LookupEngineMaker>;
  step?: true;
  break?: Breakpoint[];
}

/** Single programs of an object file. */
export function bpfProgCommand(): Command {
  const command = new Command('prog').description('run or show programs of a BPF object file');
  command.addCommand(runCommand());
  command.addCommand(dumpCommand());
  return command;
}

function runCommand(): Command {
  return withRunOptions(
    new Command('run')
      .description('run a tc or XDP program on a packet: its answer, the packet, what changed in maps, events')
      .argument('<object>', 'object file, as clang builds it with --target=bpf -O2 -g')
      .requiredOption('--prog <name>', 'the function to run')
      .requiredOption('--packet <hex|capture>', 'from the Ethernet header on; of a capture, its first packet')
      .option('--map <file>', 'JSON: for maps by name, entries "key=value" in hex')
      .option('--repeat <number>', 'run so often, and say what one run takes', positive, 1)
      .option('--step', 'tell each instruction, with source lines and what registers hold')
      .option(
        '--break <[file:]line>',
        'tell all registers where this source line is reached; may be repeated',
        breakpoint,
      ),
  )
    .addOption(engineOption())
    .addOption(mapEngineOption())
    .action(runProgram);
}

function dumpCommand(): Command {
  return new Command('dump')
    .description('disassemble, with source lines')
    .argument('<object>', 'object file')
    .option('--prog <name>', 'only this function')
    .action((path: string, { prog }: { prog?: string }) => {
      const { functions } = readObject(path);
      const chosen = [...functions.values()].filter(({ name }) => prog === undefined || name === prog);
      if (chosen.length === 0)
        throw new InputError(`${path}: no function ${prog}; it has ${[...functions.keys()].join(', ')}`, {});
      process.stdout.write(`${chosen.map((fn) => `${dumpFunction(fn).join('\n')}\n`).join('\n')}`);
    });
}

function runProgram(path: string, options: ProgRunCommandOptions): void {
  const isStepped = options.step === true || options.break !== undefined;
  const result = progRun(readObject(path), {
    prog: options.prog,
    packet: readPacket(options.packet),
    engine: options.engine,
    seed: options.seed,
    repeat: options.repeat,
    ...(options.mapEngine === undefined ? {} : { lookupEngines: options.mapEngine }),
    ...(options.map === undefined ? {} : { maps: { contents: readJson(options.map), where: options.map } }),
    ...(isStepped ? { stepper: new Stepper((line) => process.stdout.write(`${line}\n`), options.break) } : {}),
  });
  process.stdout.write(options.json ? `${toJson(runRecord(result))}\n` : runText(result, options.repeat));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function runRecord({ status, packet, changes, events, traces, nsPerRun }: ProgRun): object {
  return {
    status,
    packet: hex(packet),
    changes,
    events: events.map((e) => ({ map: e.map, hex: hex(e.bytes) })),
    traces,
    nsPerRun,
  };
}

function runText({ status, packet, changes, events, traces, nsPerRun }: ProgRun, repeat: number): string {
  const lines = [`answer  ${status}`, `packet  ${packet.length} bytes ${hex(packet)}`];
  for (const { map, key, before, after } of changes) {
    if (before === undefined) lines.push(`map     ${map}: + ${key} = ${after}`);
    else if (after === undefined) lines.push(`map     ${map}: - ${key} = ${before}`);
    else lines.push(`map     ${map}: ${key} = ${before} -> ${after}`);
  }
  for (const { map, bytes } of events) lines.push(`event   ${map}: ${hex(bytes)}`);
  for (const text of traces) lines.push(`trace   ${text.trimEnd()}`);
  if (repeat > 1) lines.push(`time    ${nsPerRun.toFixed(0)} ns a run, ${repeat} runs`);
  return `${lines.join('\n')}\n`;
}

function readPacket(text: string): Uint8Array {
  if (/^(?:[0-9a-f]{2})+$/i.test(text) && !existsSync(text)) return Buffer.from(text, 'hex');
  if (!existsSync(text)) throw new InputError(`--packet ${text}: neither bytes in hex nor a file`, {});
  for (const { data } of openCapture(text)) return data;
  throw new InputError(`${text}: a capture without packets`, {});
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InputError(`${path}: ${(error as Error).message}`, {});
  }
}

function breakpoint(text: string, before: Breakpoint[] = []): Breakpoint[] {
  const match = /^(?:(.+):)?(\d+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('want a line, or file:line.');
  const line = Number(match[2]);
  return [...before, match[1] === undefined ? { line } : { file: match[1], line }];
}
