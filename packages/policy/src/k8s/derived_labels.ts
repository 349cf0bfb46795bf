import { Labels } from '@ciliate/labels';
import type { PolicyRef } from '../api/rule.ts';

/** The labels that tell which object a rule came from. Source: pkg/k8s/apis/cilium.io/utils, GetPolicyLabels. */
export function derivedLabels({ kind, name, namespace }: PolicyRef): Labels {
  const label = (key: string, value: string) => ({ source: 'k8s', key: `io.cilium.k8s.policy.${key}`, value });
  return Labels.of([
    label('derived-from', kind),
    label('name', name),
    label('namespace', namespace),
    label('uid', ''), // objects from files have no UID; Cilium then writes the label without a value
  ]);
}
