import { type Label, Labels } from '@ciliate/labels';
import type { PolicyRef } from '../api/rule.ts';

/**
 * The labels that tell which object a rule came from, and those that the rule gives itself.
 * Source: pkg/k8s/apis/cilium.io/utils, GetPolicyLabels and ParseToCiliumLabels.
 */
export function ruleLabels({ kind, name, namespace }: PolicyRef, own: readonly Label[] = []): Labels {
  const label = (key: string, value: string): Label => ({ source: 'k8s', key: `io.cilium.k8s.policy.${key}`, value });
  return Labels.of([
    label('derived-from', kind),
    label('name', name),
    ...(namespace === '' ? [] : [label('namespace', namespace)]),
    label('uid', ''), // objects from files have no UID; Cilium then writes the label without a value
    ...own,
  ]);
}
