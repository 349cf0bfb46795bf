import type { ClusterPolicy } from './cluster_policy.ts';

export interface PodChanges {
  /** `namespace/name`. What they reach is not compared: there is nothing to compare it with. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly relabelled: readonly { readonly name: string; readonly before: string[]; readonly after: string[] }[];
}

export function podChanges(before: ClusterPolicy, after: ClusterPolicy): PodChanges {
  const [old, now] = [before, after].map(({ pods }) => new Map(pods.map((pod) => [pod.name, pod])));
  const relabelled = after.pods.flatMap(({ name, labels }) => {
    const was = old!.get(name);
    return was === undefined || was.labels.equals(labels)
      ? []
      : [{ name, before: was.labels.toStrings(), after: labels.toStrings() }];
  });
  return {
    added: after.pods.map(({ name }) => name).filter((name) => !old!.has(name)),
    removed: before.pods.map(({ name }) => name).filter((name) => !now!.has(name)),
    relabelled,
  };
}
