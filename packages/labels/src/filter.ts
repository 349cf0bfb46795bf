import type { Label } from './label.ts';
import { Labels } from './labels.ts';

interface Rule {
  readonly ignore: boolean;
  /** The rule counts only for labels of this source; '' for every source. */
  readonly source: string;
  /** Anchored: a rule counts only where it matches from the first byte of the key. */
  readonly expression: RegExp;
}

const include = (expression: RegExp, source = ''): Rule => ({ ignore: false, source, expression });
const ignore = (expression: RegExp): Rule => ({ ignore: true, source: '', expression });

/** The default of `--labels`. Source: pkg/labelsfilter/filter.go, defaultLabelPrefixCfg. */
const DEFAULT_RULES: readonly Rule[] = [
  include(/^.*/, 'reserved'),
  include(/^io\.kubernetes\.pod\.namespace/),
  include(/^io\.cilium\.k8s\.namespace\.labels/),
  include(/^app\.kubernetes\.io/),
  include(/^io\.cilium\.k8s\.policy\.cluster/),
  include(/^io\.cilium\.k8s\.policy\.serviceaccount/),
  ignore(/^io\.kubernetes/),
  ignore(/^kubernetes\.io/),
  ignore(/^statefulset\.kubernetes\.io\/pod-name/),
  ignore(/^apps\.kubernetes\.io\/pod-index/),
  ignore(/^batch\.kubernetes\.io\/job-completion-index/),
  ignore(/^batch\.kubernetes\.io\/controller-uid/),
  ignore(/^.*beta\.kubernetes\.io/),
  ignore(/^k8s\.io/),
  ignore(/^pod-template-generation/),
  ignore(/^pod-template-hash/),
  ignore(/^controller-revision-hash/),
  ignore(/^controller-uid/),
  ignore(/^annotation.*/),
  ignore(/^etcd_node/),
];

/**
 * Keep the labels that make an identity; drop those that change with every pod or say nothing about its role.
 * The longest matching include is weighed against the shortest matching ignore; what nothing matches is kept.
 */
export function filterIdentityLabels(labels: Labels): Labels {
  return Labels.of([...labels].filter(isIdentityRelevant));
}

function isIdentityRelevant(label: Label): boolean {
  let included = 0;
  let ignored = 0; // 0: no ignore matched
  for (const rule of DEFAULT_RULES) {
    if (rule.source !== '' && rule.source !== label.source) continue;
    const match = rule.expression.exec(label.key);
    if (match === null) continue;
    const length = match[0].length;
    if (!rule.ignore) included = Math.max(included, length);
    else if (ignored === 0 || length < ignored) ignored = length;
  }
  return ignored === 0 || included > ignored;
}
