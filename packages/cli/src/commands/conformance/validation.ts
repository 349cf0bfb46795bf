import { DEFAULT_POLICY_CONFIG, PolicyRepository } from '@ciliate/policy';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { valuesOf } from '../../conformance/files.ts';
import { decodePolicy, refusalOf } from '../../conformance/objects.ts';
import { setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

/** The agent's opinion of single objects, as if read from the API server; what a CRD's schema says is another matter. */
export function validationSet(): Command {
  const description = 'which policy objects an agent takes in, and which it refuses';
  const files = 'JSON lines of objects, or a JSON document of examples, plain or gzipped';
  return setCommand('validation', { description, files }, (file, tally) => {
    for (const { value, where } of valuesOf(file)) {
      const fields = new Fields(value, where);
      if (fields.has('objects')) checkExamples(fields, where, tally);
      else check(fields, where, (object) => object, tally);
    }
  });
}

function checkExamples(examples: Fields, where: string, tally: Tally): void {
  const asObject = examples.oneOf('format', 'k8s', 'rules') === 'rules' ? asPolicy : (object: unknown) => object;
  for (const one of examples.all('objects')) check(one, where, asObject, tally);
}

/** A bare rule has no object around it, and so no namespace. */
const asPolicy = (rule: unknown): unknown => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumClusterwideNetworkPolicy',
  metadata: { name: 'rule' },
  spec: rule,
});

function check(one: Fields, where: string, asObject: (object: unknown) => unknown, tally: Tally): void {
  const name = one.text('name');
  if (!one.has('object')) throw one.wrong('object', 'missing');
  const repository = new PolicyRepository(DEFAULT_POLICY_CONFIG);
  const refusal = refusalOf(() => repository.upsert(decodePolicy(asObject(one.raw('object')), where)));
  // What is in order, and only not modelled here, is judged as Cilium judges it, and counted apart.
  const isValid = refusal === undefined || refusal.notModelled;
  const kind = refusal?.notModelled ? 'valid, but not modelled here' : 'valid';
  const ours = refusal === undefined ? 'valid' : `refused: ${refusal.message}`;
  const theirs = one.raw('valid') === true ? 'valid' : `refused at ${one.raw('stage')}: ${one.raw('error')}`;
  tally.case();
  tally.check(kind, `${where}: ${name}`, isValid, one.raw('valid'), [ours, theirs]);
}
