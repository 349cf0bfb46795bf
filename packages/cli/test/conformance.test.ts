import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { runScenario } from '@ciliate/bpf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerCase } from '../src/conformance/policy_answer.ts';
import { readCase } from '../src/conformance/policy_case.ts';
import { checkCase } from '../src/conformance/policy_check.ts';
import { Tally } from '../src/conformance/tally.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const MAIN = join(ROOT, 'packages/cli/src/main.ts');
const FIXTURES = 'packages/cli/test/fixtures/conformance';
/** The whole sets, where they are at hand. */
const SHARED = '../shared/conformance';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ciliate-conformance-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function conformance(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [MAIN, 'conformance', ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

// biome-ignore lint/suspicious/noExplicitAny: cases are taken apart and spoilt here
type Json = any;

const casesOf = (set: string): Json[] =>
  gunzipSync(readFileSync(join(ROOT, FIXTURES, `${set}.jsonl.gz`)))
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** What is counted of a case, by the format's own description: nothing of the command is used here. */
function countOf(one: Json): number {
  const sum = (numbers: number[]): number => numbers.reduce((all, number) => all + number, 0);
  const local = one.endpoints.filter(({ local }: Json) => local).length;
  const failed = Object.keys(one.policyErrors ?? {}).length;
  const identities = one.endpoints.length + (one.policyErrors === undefined ? 0 : 1);
  if (one.policyErrors !== undefined && !one.mapstateStable) return identities;
  const perEndpoint = 1 + (one.mapstateStable ? 1 : 0) + (one.l7 === null ? 0 : 1);
  const sides = one.flows.map(({ egress, ingress }: Json) => Number(egress !== null) + Number(ingress !== null) + 1);
  const steps = (one.steps ?? []).map(({ changes }: Json) => Object.keys(changes).length);
  return identities + perEndpoint * (local - failed) + sum(sides) + sum(steps);
}

describe.each(['policy', 'incremental', 'conflicts'])('conformance %s', (set) => {
  const names = set === 'policy' ? ['handmade', 'policy'] : [set];

  test('everything agrees, and everything is counted', async () => {
    const count = names.flatMap(casesOf).reduce((all, one) => all + countOf(one), 0);
    const { code, stdout, stderr } = await conformance(set, ...names.map((name) => `${FIXTURES}/${name}.jsonl.gz`));
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`\nagree ${count}/${count}\n$`));
    expect(code).toBe(0);
  });

  test('the answers are the same when nothing that is expected is in the file', () => {
    for (const one of names.flatMap(casesOf))
      expect(answerCase(readCase(withoutExpected(one), one.name), one.name)).toEqual(
        answerCase(readCase(one, one.name), one.name),
      );
  });
});

/** As the format lists what is input; steps say whose identity they are about by its number. */
function withoutExpected(one: Json): Json {
  const { cidrIdentities, fqdnIdentities, policyEnabled, mapstate, l7, mapstateStable, policyErrors, note, ...kept } =
    one;
  const { features, seed, ...input } = kept;
  return {
    ...input,
    endpoints: input.endpoints.map(({ identity, identityLabels, ipv4, ipv6, ...endpoint }: Json) => endpoint),
    flows: input.flows.map(({ src, dst, protocol, dport, icmpType }: Json) => ({
      src,
      dst,
      protocol,
      dport,
      icmpType,
    })),
    ...(input.steps && { steps: input.steps.map(({ op, identity }: Json) => ({ op, identity })) }),
  };
}

const WRONG = {
  labels: ['"match":true', '"match":false'],
  ports: ['"prefix_len":16', '"prefix_len":15'],
  fqdn: ['"dnsproxy_allowed":true', '"dnsproxy_allowed":false'],
  http: ['"rejected_headers":[{"name":"x-key"', '"rejected_headers":[{"name":"x-kez"'],
  maglev: ['"h1":"befad88eda9c2bd2"', '"h1":"befad88eda9c2bd3"'],
  kafka: ['"denied_response_hex":"00000026', '"denied_response_hex":"00000027'],
} as const;
/** Whose facts lie in the file of another set. */
const fileOf = (set: string): string => (set === 'kafka' ? 'http' : set);
describe.each(Object.keys(WRONG) as (keyof typeof WRONG)[])('conformance %s', (set) => {
  test('everything agrees', async () => {
    const { code, stdout, stderr } = await conformance(set, `${FIXTURES}/${fileOf(set)}.json.gz`);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/\nagree (\d+)\/\1\n$/);
    expect(code).toBe(0);
  });

  test('a wrong answer in the file is found', async () => {
    const facts = gunzipSync(readFileSync(join(ROOT, FIXTURES, `${fileOf(set)}.json.gz`))).toString('utf8');
    const [right, spoilt] = WRONG[set];
    expect(facts).toContain(right);
    const { code, stdout } = await conformance(set, file(`${set}.json`, facts.replace(right, spoilt)));
    const [, agreed, total] = /\nagree (\d+)\/(\d+)\n$/.exec(stdout) ?? [];
    expect([code, Number(total) - Number(agreed)]).toEqual([1, 1]);
  });
});

function tallyOf(one: Json): { text: string; agreed: number; total: number } {
  let text = '';
  const tally = new Tally((more) => {
    text += more;
  }, true);
  tally.file('f');
  checkCase(one, 'f:1', tally);
  tally.finish();
  const [, agreed, total] = /agree (\d+)\/(\d+)\n$/.exec(text) ?? [];
  return { text, agreed: Number(agreed), total: Number(total) };
}

const first = (set: string, wanted: (one: Json) => boolean): Json => structuredClone(casesOf(set).find(wanted));
const some = (one: Json, field: string): Json => Object.values<Json>(one[field]).find((list) => list.length > 0);

// Each spoils one case in one place.
const spoilt: [name: string, set: string, has: (one: Json) => boolean, spoil: (one: Json) => void][] = [
  [
    'a verdict',
    'policy',
    (one) => one.flows.some(({ egress }: Json) => egress),
    ({ flows }) => {
      flows.find(({ egress }: Json) => egress).egress.verdict = 'redirect';
    },
  ],
  [
    'a drop reason',
    'policy',
    (one) => one.flows.some(({ ingress }: Json) => ingress),
    ({ flows }) => {
      flows.find(({ ingress }: Json) => ingress).ingress.dropReason = 7;
    },
  ],
  [
    'a matched key',
    'policy',
    (one) => one.flows.some(({ ingress }: Json) => ingress?.matchedKey),
    ({ flows }) => {
      flows.find(({ ingress }: Json) => ingress?.matchedKey).ingress.matchedKey.portPrefixLen = 3;
    },
  ],
  [
    'authentication that nobody asked for',
    'policy',
    (one) => one.flows.some(({ egress }: Json) => egress),
    ({ flows }) => {
      flows.find(({ egress }: Json) => egress).egress.authType = 7;
    },
  ],
  [
    'a missing verdict',
    'policy',
    (one) => one.flows.some(({ egress }: Json) => egress),
    ({ flows }) => {
      delete flows.find(({ egress }: Json) => egress).egress.verdict;
    },
  ],
  [
    'a missing side',
    'policy',
    (one) => one.flows.some(({ egress }: Json) => egress),
    ({ flows }) => {
      delete flows.find(({ egress }: Json) => egress).egress;
    },
  ],
  [
    'a final',
    'policy',
    (one) => one.flows.length > 0,
    ({ flows }) => {
      flows[0].final = 'LOST';
    },
  ],
  [
    'a missing final',
    'policy',
    (one) => one.flows.length > 0,
    ({ flows }) => {
      delete flows[0].final;
    },
  ],
  [
    'an entry too many',
    'policy',
    (one) => some(one, 'mapstate'),
    (one) => {
      some(one, 'mapstate').push({ ...some(one, 'mapstate')[0], dport: 4711 });
    },
  ],
  [
    'an entry too few',
    'policy',
    (one) => some(one, 'mapstate'),
    (one) => {
      some(one, 'mapstate').pop();
    },
  ],
  [
    'an entry that denies',
    'policy',
    (one) => some(one, 'mapstate')?.some(({ deny }: Json) => !deny),
    (one) => {
      some(one, 'mapstate').find(({ deny }: Json) => !deny).deny = true;
    },
  ],
  [
    'a missing map state',
    'policy',
    (one) => some(one, 'mapstate'),
    (one) => {
      delete one.mapstate[Object.keys(one.mapstate)[0]!];
    },
  ],
  [
    'a parser',
    'policy',
    (one) => some(one, 'l7'),
    (one) => {
      some(one, 'l7')[0].selectors.find(({ wildcard, identities }: Json) => wildcard || identities.length > 0).parser =
        'x';
    },
  ],
  [
    'an HTTP rule too many',
    'policy',
    (one) => some(one, 'l7')?.[0].selectors[0].http.length > 0,
    (one) => {
      some(one, 'l7')[0].selectors[0].http.push({ path: '/other' });
    },
  ],
  [
    'a missing set of L7 filters',
    'policy',
    (one) => some(one, 'l7'),
    (one) => {
      delete one.l7[Object.keys(one.l7)[0]!];
    },
  ],
  [
    'enforcement',
    'policy',
    (one) => Object.keys(one.policyEnabled).length > 0,
    ({ policyEnabled }) => {
      const [name] = Object.keys(policyEnabled);
      policyEnabled[name!].ingress = !policyEnabled[name!].ingress;
    },
  ],
  [
    'an identity',
    'policy',
    () => true,
    ({ endpoints }) => {
      endpoints[0].identity++;
    },
  ],
  [
    'a label',
    'policy',
    () => true,
    ({ endpoints }) => {
      endpoints[0].identityLabels.push('k8s:z=z');
    },
  ],
  [
    'missing labels',
    'policy',
    () => true,
    ({ endpoints }) => {
      delete endpoints[0].identityLabels;
    },
  ],
  [
    'a conflict that is none',
    'conflicts',
    (one) => Object.keys(one.policyErrors).length > 1,
    ({ policyErrors, endpoints }) => {
      // Of an endpoint without a policy here, so that nothing else is asked of it.
      policyErrors[endpoints.find(({ local }: Json) => !local)?.name ?? 'nobody'] = 'conflict';
    },
  ],
  [
    'a key that a step adds',
    'incremental',
    () => true,
    ({ steps }) => {
      Object.values<Json>(steps[0].changes)[0].adds.push({
        direction: 'egress',
        identity: 1,
        protocol: 6,
        dport: 1,
        portPrefixLen: 16,
      });
    },
  ],
  [
    'a map state after a step',
    'incremental',
    () => true,
    ({ steps }) => {
      Object.values<Json>(steps[0].mapstate)[0].pop();
    },
  ],
  [
    'the missing changes of an endpoint',
    'incremental',
    () => true,
    ({ steps }) => {
      delete steps[0].changes[Object.keys(steps[0].changes)[0]!];
    },
  ],
];
test.each(spoilt)('one thing is wrong in the file: %s', (_name, set, has, spoil) => {
  const one = first(set, has);
  expect(tallyOf(one)).toMatchObject({ agreed: countOf(one), total: countOf(one) });
  spoil(one);
  const { text, agreed, total } = tallyOf(one);
  expect(total - agreed).toBe(1);
  expect(text).toMatch(/^f:1: .*\n {2}ciliate {2}.*(\n {4}.*)*\n {2}cilium {3}.*\n/);
});

test.each(['cidrIdentities', 'fqdnIdentities'])('%s count only where they are wrong', (field) => {
  const one = first('policy', (one) => one[field].length > 0);
  one[field][0].identity++;
  expect(tallyOf(one)).toMatchObject({ agreed: countOf(one), total: countOf(one) + 1 });
});

test('of a case that is not stable no map is compared, and a key only where the file has one', () => {
  const one = first('policy', ({ flows }) => flows.some(({ ingress }: Json) => ingress?.matchedKey));
  Object.assign(one, { mapstateStable: false, mapstate: {} });
  one.flows.find(({ ingress }: Json) => ingress?.matchedKey).ingress.matchedKey = null;
  expect(tallyOf(one)).toMatchObject({ agreed: countOf(one), total: countOf(one) });
});

test('L7 filters are compared as sets, whatever selectors they are written with', () => {
  const filters = (one: Json): Json[] => Object.values<Json>(one.l7).flat();
  const one = first('policy', (one) => filters(one).some(({ selectors }) => selectors.length > 1));
  for (const { selectors } of filters(one)) {
    for (const selector of selectors) selector.http.reverse();
    selectors.push(...structuredClone(selectors));
    selectors.reverse();
  }
  expect(tallyOf(one)).toMatchObject({ agreed: countOf(one), total: countOf(one) });
});

test('a policy that is refused: nothing of the case agrees', () => {
  const one = first('policy', ({ policies }) => policies.some(({ kind }: Json) => kind === 'CiliumNetworkPolicy'));
  one.policies.find(({ kind }: Json) => kind === 'CiliumNetworkPolicy').spec = { endpointSelector: {}, ingress: 'all' };
  const { text, agreed, total } = tallyOf(one);
  expect(agreed).toBe(0);
  expect(total).toBeGreaterThanOrEqual(countOf(one));
  expect(text).toContain('  ciliate  refused: f:1: policies[');
});

const line = (change: (one: Json) => void): string => {
  const one = structuredClone(casesOf('handmade')[0]);
  change(one);
  return JSON.stringify(one);
};
const good = line(() => {});

const malformed: [name: string, set: string, file: string, content: () => string | Uint8Array, says: string][] = [
  ['an empty file', 'policy', 'a.jsonl', () => '\n', 'a.jsonl: no case in it'],
  ['no gzip', 'policy', 'b.jsonl.gz', () => good, 'b.jsonl.gz: not gzipped'],
  ['half a gzip', 'policy', 'c.jsonl.gz', () => gzipSync(good).subarray(0, 100), 'c.jsonl.gz: unexpected end of file'],
  ['no JSON in the second line', 'policy', 'd.jsonl', () => `${good}\n{"name":`, 'd.jsonl:2: not JSON'],
  ['a list instead of a case', 'policy', 'e.jsonl', () => `\n[]`, 'e.jsonl:2: want an object'],
  [
    'no configuration',
    'policy',
    'f.jsonl',
    () => line((one) => delete one.config),
    'f.jsonl:1: config: want an object',
  ],
  [
    'a mode that there is not',
    'policy',
    'g.jsonl',
    () => line((one) => Object.assign(one.config, { enforcement: 'maybe' })),
    'g.jsonl:1: config.enforcement: want default or always or never',
  ],
  [
    'an endpoint without labels',
    'policy',
    'h.jsonl',
    () => line((one) => delete one.endpoints[0].labels),
    'h.jsonl:1: endpoints[0].labels: missing; want an object of texts',
  ],
  [
    'a flow of nobody',
    'policy',
    'i.jsonl',
    () => line((one) => Object.assign(one.flows[0], { src: 'nobody' })),
    'i.jsonl:1: flows: no endpoint "nobody"',
  ],
  [
    'an address that is none',
    'policy',
    'j.jsonl',
    () => line((one) => Object.assign(one.flows[0], { dst: 'world:1.2.3' })),
    'j.jsonl:1: flows: "1.2.3" is no address',
  ],
  [
    'another set',
    'incremental',
    'k.jsonl',
    () => good,
    'k.jsonl:1: steps: missing; is this a file of the set incremental?',
  ],
  ['a list of no facts', 'labels', 'l.json', () => '{}', 'l.json: cidr_labels: missing; want a list'],
  ['no object to validate', 'validation', 'm.jsonl', () => '{"name":"x","valid":true}', 'm.jsonl:1: object: missing'],
  ['no format', 'validation', 'n.json', () => '{\n"objects": []\n}', 'n.json: format: missing; want k8s or rules'],
];
test.each(malformed)(
  '%s (%s): the exit code is 2 and the message says where',
  async (_name, set, name, content, says) => {
    const { code, stderr } = await conformance(set, file(name, content()));
    expect(stderr).toContain(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(2);
  },
);

test('a file that is not there: exit code 2', async () => {
  const { code, stderr } = await conformance('policy', 'nowhere.jsonl');
  expect([code, stderr]).toEqual([2, "nowhere.jsonl: ENOENT: no such file or directory, open 'nowhere.jsonl'\n"]);
});

test('the first 20 disagreements are printed, with --all each of them', async () => {
  const spoilt = casesOf('policy').slice(0, 3);
  for (const { flows } of spoilt) for (const flow of flows) flow.final = 'LOST';
  const path = file('many.jsonl', spoilt.map((one) => JSON.stringify(one)).join('\n'));
  const count = spoilt.reduce((all, { flows }) => all + flows.length, 0);
  const shown = (stdout: string): number => stdout.match(/: final$/gm)?.length ?? 0;
  const [some, all] = await Promise.all([conformance('policy', path), conformance('policy', '--all', path)]);
  expect([some.code, shown(some.stdout)]).toEqual([1, 20]);
  expect(some.stdout).toContain(`${count - 20} more disagreements; --all prints them\n`);
  expect([all.code, shown(all.stdout)]).toEqual([1, count]);
  expect(all.stdout).toMatch(new RegExp(`\nfinal +0/${count}\n`));
});

describe('conformance datapath', () => {
  const path = 'packages/bpf/test/fixtures/scenarios.jsonl.gz';
  const scenarios: Json[] = gunzipSync(readFileSync(join(ROOT, path)))
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

  test('every packet agrees, and is counted', async () => {
    const packets = scenarios.flatMap(({ steps }) => steps).filter(({ op }: Json) => op === 'packet').length;
    const { code, stdout } = await conformance('datapath', path);
    expect(stdout).toMatch(new RegExp(`\nagree ${packets}/${packets}\n$`));
    expect(code).toBe(0);
  }, 60_000);

  test('a packet that disagrees is shown: what it is, what differs, which way it went', async () => {
    const one = structuredClone(
      scenarios.find(({ steps, acceptable_runs }) => steps[0].op === 'packet' && !acceptable_runs),
    );
    one.steps[0].expect.ret = 3;
    const { code, stdout } = await conformance('datapath', file('spoilt.jsonl', JSON.stringify(one)));
    expect(stdout).toMatch(
      /steps\[0\], [a-z-]+\n {2}Ethernet [\s\S]* {2}ciliate +ret: -?\d\n {2}cilium +ret: 3\n[\s\S]* {2}path +/,
    );
    expect(code).toBe(1);
  });

  test('what is expected is not looked at before it is compared', () => {
    for (const one of scenarios.slice(0, 5)) {
      const blank = {
        ret: 0,
        packet_hex_out: '',
        mark_out: 0,
        events: [],
        signals: [],
        ct: [],
        metrics_by_reason_dir: [],
        policy_stats: [],
      };
      const { acceptable_runs, ...kept } = one;
      const stripped = {
        ...kept,
        steps: one.steps.map((step: Json) => (step.op === 'packet' ? { ...step, expect: blank } : step)),
      };
      expect(runScenario(stripped).map(({ actual }) => actual)).toEqual(runScenario(one).map(({ actual }) => actual));
    }
  });

  test('a scenario that lacks a part is refused with its place', async () => {
    const { code, stderr } = await conformance('datapath', file('part.jsonl', '{"name":"x","node":{},"config":{}}'));
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('part.jsonl:1: config.defines: missing; want a list of texts'),
    ]);
  });
});

const whole: [set: string, files: string[]][] = [
  ['policy', ['policy/policy-handmade.jsonl', 'policy/policy-dev.jsonl.gz']],
  ['incremental', ['policy/policy-incremental-dev.jsonl.gz']],
  ['conflicts', ['policy/policy-conflicts.jsonl.gz']],
  ['validation', ['policy/policy-validation.jsonl']],
  ['validation', ['examples/*.json']],
  ['labels', ['facts/labels.json']],
  ['ports', ['facts/ports.json']],
  ['fqdn', ['facts/fqdn.json']],
  ['http', ['facts/http.json']],
  ['kafka', ['facts/http.json']],
  ['maglev', ['facts/maglev.json']],
  ['datapath', ['datapath/datapath-dev.jsonl.gz']],
];
describe.runIf(existsSync(join(ROOT, SHARED)))('the whole sets in ../shared', () => {
  test.each(whole)('conformance %s %j', { timeout: 300_000 }, async (set, patterns) => {
    const files = globSync(
      patterns.map((pattern) => join(SHARED, pattern)),
      { cwd: ROOT },
    ).sort();
    const { code, stdout } = await conformance(set, ...files);
    expect(stdout).toMatch(/\nagree (\d+)\/\1\n$/);
    expect(code).toBe(0);
  });
});

/** Commands as the README shows them, and the block of text right behind each. */
const SHOWN = / {4}npx ciliate conformance (.*)\n\n```text\n([\s\S]*?)```/g;
const shown = [...readFileSync(join(ROOT, 'packages/cli/README.md'), 'utf8').matchAll(SHOWN)];
test.each(shown.map(([, command, output]) => [command!, output!]))('the README shows: %s', async (command, output) => {
  expect((await conformance(...command.split(' '))).stdout).toBe(output);
});
test('the README shows two outputs', () => expect(shown).toHaveLength(2));
