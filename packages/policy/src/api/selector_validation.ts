import { ciliumKey } from '@ciliate/labels';
import { PolicyError } from '../errors.ts';
import type { Selector } from './rule.ts';

// Kubernetes' rules for label keys (`[prefix/]name`) and values. Source: k8s.io/apimachinery/pkg/util/validation.
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 63;
const MAX_PREFIX = 253;
const NAME_RULE = "must consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit";

/** Refuse keys, values and operators that Kubernetes refuses in a label selector. */
export function checkSelector({ selector, position, path }: Selector): void {
  const fail = (field: string, problem: string): never => {
    throw new PolicyError(position, `${path}.${field}`, problem);
  };
  for (const [key, value] of selector.matchLabels) {
    const problem = keyProblem(key) ?? valueProblem(value);
    if (problem !== undefined) fail('matchLabels', problem);
  }
  for (const [index, { key, operator, values }] of selector.matchExpressions.entries()) {
    const field = `matchExpressions[${index}]`;
    const wrongKey = keyProblem(key);
    if (wrongKey !== undefined) fail(`${field}.key`, wrongKey);
    checkOperator(operator, values, (name, problem) => fail(`${field}.${name}`, problem));
    for (const [at, value] of values.entries()) {
      const wrongValue = valueProblem(value);
      if (wrongValue !== undefined) fail(`${field}.values[${at}]`, wrongValue);
    }
  }
}

function checkOperator(
  operator: string,
  values: readonly string[],
  fail: (field: string, problem: string) => never,
): void {
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) fail('values', `operator ${operator} needs at least one value`);
      return;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) fail('values', `operator ${operator} takes no values`);
      return;
    default:
      fail('operator', `unknown operator "${operator}", expected In, NotIn, Exists or DoesNotExist`);
  }
}

/** @param extended `source.key`: as in Cilium, the source counts as part of the name or prefix */
function keyProblem(extended: string): string | undefined {
  const shown = ciliumKey(extended).replace(/^any:/, '');
  const parts = extended.split('/');
  const name = parts.at(-1) ?? '';
  if (parts.length > 2) return `"${shown}" is not a label key: more than one "/"`;
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (!SUBDOMAIN.test(prefix)) return `"${shown}" is not a label key: what is before "/" must be a DNS subdomain`;
    if (prefix.length > MAX_PREFIX) return `"${shown}" is not a label key: its prefix is longer than ${MAX_PREFIX}`;
  }
  if (!NAME.test(name)) return `"${shown}" is not a label key: it ${NAME_RULE}`;
  if (name.length > MAX_NAME) return `"${shown}" is not a label key: with its source it is longer than ${MAX_NAME}`;
  if (extended.startsWith('cidr.')) return `"${shown}": selecting cidr: labels is not supported yet`;
  return undefined;
}

function valueProblem(value: string): string | undefined {
  if (value === '') return undefined;
  if (value.length > MAX_NAME) return `"${value}" is not a label value: it is longer than ${MAX_NAME}`;
  return NAME.test(value) ? undefined : `"${value}" is not a label value: it ${NAME_RULE}`;
}
