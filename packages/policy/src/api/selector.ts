import type { LabelSelector } from '@ciliate/k8s';
import { ciliumKey, EndpointSelector, type SelectorExpression } from '@ciliate/labels';
import type { Place } from './place.ts';

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

// Kubernetes' rules for label keys (`[prefix/]name`) and values. Source: k8s.io/apimachinery/pkg/util/validation.
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 63;
const MAX_PREFIX = 253;
const NAME_RULE = "must consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit";

/**
 * Compile a selector and refuse keys, values and operators that Kubernetes refuses.
 * @param compile by default, a selector of a Cilium policy, whose keys may name a source
 * @throws PolicyError
 */
export function parseSelector(
  source: LabelSelector,
  place: Place,
  compile: (source: LabelSelector) => EndpointSelector = EndpointSelector.parse,
): EndpointSelector {
  const selector = compile(source);
  for (const [key, value] of selector.matchLabels) {
    const problem = keyProblem(key) ?? valueProblem(value);
    if (problem !== undefined) placeOfLabel(source, key, place, compile).refuse(problem);
  }
  for (const [index, expression] of selector.matchExpressions.entries()) {
    checkExpression(expression, place.at('matchExpressions').at(index));
  }
  return selector;
}

/** The key as the user wrote it: a source may have been put before it. */
function placeOfLabel(
  source: LabelSelector,
  extended: string,
  place: Place,
  compile: (source: LabelSelector) => EndpointSelector,
): Place {
  const written = Object.keys(source.matchLabels).find((key) =>
    compile({ matchLabels: { [key]: '' }, matchExpressions: [] }).hasKey(extended),
  );
  return written === undefined ? place : place.at('matchLabels').at(written);
}

function checkExpression({ key, operator, values }: SelectorExpression, place: Place): void {
  const wrongKey = keyProblem(key);
  if (wrongKey !== undefined) place.at('key').refuse(wrongKey);
  if (!OPERATORS.includes(operator)) place.at('operator').refuseWord('operator', operator, OPERATORS);
  const wantsValues = operator === 'In' || operator === 'NotIn';
  if (wantsValues && values.length === 0) place.at('values').refuse(`operator ${operator} needs at least one value`);
  if (!wantsValues && values.length > 0) place.at('values').refuse(`operator ${operator} takes no values`);
  for (const [index, value] of values.entries()) {
    const problem = valueProblem(value);
    if (problem !== undefined) place.at('values').at(index).refuse(problem);
  }
}

/** @param extended `source.key`: as in Cilium, the source counts as part of the name or prefix */
function keyProblem(extended: string): string | undefined {
  const parts = extended.split('/');
  const prefix = parts.length === 2 ? parts[0]! : undefined;
  const name = parts.at(-1)!;
  let problem: string | undefined;
  if (parts.length > 2) problem = 'more than one "/"';
  else if (prefix !== undefined && !SUBDOMAIN.test(prefix)) problem = 'what is before "/" must be a DNS subdomain';
  else if (prefix !== undefined && prefix.length > MAX_PREFIX) problem = `its prefix is longer than ${MAX_PREFIX}`;
  else if (!NAME.test(name)) problem = `it ${NAME_RULE}`;
  else if (name.length > MAX_NAME) problem = `with its source it is longer than ${MAX_NAME}`;
  const shown = ciliumKey(extended).replace(/^any:/, '');
  return problem === undefined ? undefined : `${JSON.stringify(shown)} is not a label key: ${problem}`;
}

function valueProblem(value: string): string | undefined {
  if (value === '') return undefined;
  const shown = `${JSON.stringify(value)} is not a label value`;
  if (value.length > MAX_NAME) return `${shown}: it is longer than ${MAX_NAME}`;
  return NAME.test(value) ? undefined : `${shown}: it ${NAME_RULE}`;
}

/** May a selector ask for this label? Some that Kubernetes takes are too long with their source before them. */
export const canAskFor = (extended: string, value: string): boolean =>
  keyProblem(extended) === undefined && valueProblem(value) === undefined;

/** This selector with more requirements; keys in the form `source.key` in which selectors keep them. */
export function withExpressions(
  selector: EndpointSelector,
  ...expressions: readonly SelectorExpression[]
): EndpointSelector {
  return EndpointSelector.parse({
    matchLabels: Object.fromEntries([...selector.matchLabels].map(([key, value]) => [ciliumKey(key), value])),
    matchExpressions: [...selector.matchExpressions, ...expressions].map((one) => ({
      ...one,
      key: ciliumKey(one.key),
    })),
  });
}
