import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { InputError } from '@ciliate/k8s';
import { describe, expect, test } from 'vitest';
import { NotModelledError, PolicyError } from '../src/errors.ts';
import { policyOf, rulesOf } from './objects.ts';

/** What the real agent said about single objects; no part of this project, so read where it is at hand. */
const SHARED = new URL('../../../../shared/conformance/', import.meta.url);
const isThere = existsSync(SHARED);
const textOf = (name: string): string => readFileSync(new URL(name, SHARED), 'utf8');

interface Judged {
  readonly name: string;
  readonly object: object;
  readonly valid: boolean;
}

/** What is only not modelled here counts as accepted. */
function isAccepted(object: object): boolean {
  try {
    rulesOf(policyOf(JSON.stringify(object)));
    return true;
  } catch (error) {
    if (error instanceof NotModelledError) return true;
    if (error instanceof PolicyError || error instanceof InputError) return false;
    throw error;
  }
}

const objects = (isThere ? textOf('policy/policy-validation.jsonl').split('\n') : [])
  .filter((line) => line !== '')
  .map((line): Judged => JSON.parse(line));
const examples = isThere ? readdirSync(new URL('examples/', SHARED)).filter((name) => name.endsWith('.json')) : [];

describe.skipIf(!isThere)('as the real agent', () => {
  test('there is something to compare with', () => {
    expect(objects.length).toBeGreaterThan(300);
    expect(examples.length).toBeGreaterThan(90);
  });

  test.each(objects.map((one) => [one.valid ? 'accepted' : 'refused', one.name, one] as const))(
    '%s: %s',
    (_verdict, _name, { object, valid }) => expect(isAccepted(object)).toBe(valid),
  );

  test.each(examples)('example %s', (name) => {
    const document: { format: 'k8s' | 'rules'; objects: Judged[] } = JSON.parse(textOf(`examples/${name}`));
    const answers = document.objects.map(({ object }) => isAccepted(document.format === 'k8s' ? object : bare(object)));
    expect(answers).toEqual(document.objects.map(({ valid }) => valid));
  });
});

/** A bare rule belongs to no namespace. */
const bare = (spec: object): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumClusterwideNetworkPolicy',
  metadata: { name: 'rule' },
  spec,
});
