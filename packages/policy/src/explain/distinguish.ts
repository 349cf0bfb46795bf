import {
  EndpointSelector,
  type Label,
  type Labels,
  POD_NAMESPACE_LABEL,
  POD_NAMESPACE_META_LABELS,
  POLICY_LABEL_CLUSTER,
  POLICY_LABEL_SERVICE_ACCOUNT,
} from '@ciliate/labels';
import { canAskFor } from '../api/selector.ts';

/** A selector as a policy object writes it. */
export interface WrittenSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: 'DoesNotExist' }[];
}

/** One thing that a selector may ask for. */
interface Condition {
  /** As users write it: `org`, `k8s:io.kubernetes.pod.namespace`. */
  readonly key: string;
  /** undefined: the label must not be there. */
  readonly value: string | undefined;
  readonly holds: (labels: Labels) => boolean;
}

/**
 * The fewest labels by which a selector tells one label set from others; where the others have all of its labels and
 * more, also keys that must be absent. Own labels of a pod are taken rather than those that Cilium derives, and at least
 * one label is asked for, so that a pod which comes later is not selected by accident. Some of the others may be selected
 * all the same: those with equal labels as far as selectors can ask for them.
 * @param given labels that are asked for in any case, with their sources
 */
export function distinguish(target: Labels, others: readonly Labels[], given: readonly Label[] = []): WrittenSelector {
  const asked = given.map(conditionOf);
  const left = others.filter((labels) => asked.every(({ holds }) => holds(labels)));
  const present = [...target]
    .filter((label) => canAskFor(`${label.source}.${label.key}`, label.value) && !given.includes(label))
    .sort((a, b) => rankOf(a) - rankOf(b))
    .map(conditionOf);
  const byPresent = fewest(present, left);
  const chosen = byPresent.length === 0 ? present.slice(0, 1) : byPresent;
  const supersets = left.filter((labels) => chosen.every(({ holds }) => holds(labels)));
  const absent = [...new Map(supersets.flatMap((labels) => [...labels]).map((label) => [label.key, label])).values()]
    .filter((label) => target.get(label.key) === undefined && canAskFor(`${label.source}.${label.key}`, ''))
    .sort((a, b) => rankOf(a) - rankOf(b))
    .map(absenceOf);
  return written([...asked, ...chosen], fewest(absent, supersets));
}

/** Own labels first, then what Cilium derives: account, labels of the namespace, its name, the cluster. */
function rankOf({ key }: Label): number {
  if (key === POLICY_LABEL_SERVICE_ACCOUNT) return 1;
  if (key.startsWith(`${POD_NAMESPACE_META_LABELS}.`)) return 2;
  if (key === POD_NAMESPACE_LABEL) return 3;
  return key === POLICY_LABEL_CLUSTER ? 4 : 0;
}

/** Without a source, unless the label is not of Kubernetes or its key would be read as something else. */
const writtenKey = ({ source, key }: Label): string =>
  source === 'k8s' && !/^(io\.|reserved\.|\$)/.test(key) ? key : `${source}:${key}`;

function conditionOf(label: Label): Condition {
  const key = writtenKey(label);
  const selector = EndpointSelector.parse({ matchLabels: { [key]: label.value }, matchExpressions: [] });
  return { key, value: label.value, holds: (labels) => selector.matches(labels) };
}

function absenceOf(label: Label): Condition {
  const key = writtenKey(label);
  const expression = { key, operator: 'DoesNotExist', values: [] };
  const selector = EndpointSelector.parse({ matchLabels: {}, matchExpressions: [expression] });
  return { key, value: undefined, holds: (labels) => selector.matches(labels) };
}

function written(asked: readonly Condition[], absent: readonly Condition[]): WrittenSelector {
  const selector: WrittenSelector = {};
  if (asked.length > 0) selector.matchLabels = Object.fromEntries(asked.map(({ key, value }) => [key, value!]));
  if (absent.length > 0) selector.matchExpressions = absent.map(({ key }) => ({ key, operator: 'DoesNotExist' }));
  return selector;
}

/** The fewest conditions such that for each label set one does not hold; those that meet every condition do not count. */
function fewest(conditions: readonly Condition[], others: readonly Labels[]): Condition[] {
  const lists = others.map((labels) => conditions.filter(({ holds }) => !holds(labels)));
  const excluding = [...new Map(lists.map((list) => [list.map(({ key }) => key).join(' '), list])).values()].filter(
    (list) => list.length > 0,
  );
  for (let size = 0; size <= conditions.length; size++) {
    const found = hit(excluding, size);
    if (found !== undefined) return found;
  }
  return [];
}

/** At most `size` conditions, one at least from each list. Branches on the list that leaves the least choice. */
function hit(lists: readonly (readonly Condition[])[], size: number): Condition[] | undefined {
  const [shortest] = lists.toSorted((a, b) => a.length - b.length);
  if (shortest === undefined) return [];
  if (size === 0) return undefined;
  for (const condition of shortest) {
    const rest = hit(
      lists.filter((list) => !list.includes(condition)),
      size - 1,
    );
    if (rest !== undefined) return [condition, ...rest];
  }
  return undefined;
}
