import type { PolicyConfig } from '../config.ts';

/** A service as `toServices` sees it. */
export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** undefined or empty: its backends are written down and stand for themselves. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Addresses of its backends; only looked at without a selector. */
  readonly backends: readonly string[];
}

/** What the meaning of a policy depends on besides its text. */
export interface TranslateContext {
  readonly config: PolicyConfig;
  readonly services: readonly ServiceView[];
}

/** The cluster that selectors mean if they name none; undefined: every cluster. */
export const defaultCluster = ({ policyDefaultLocalCluster, clusterName }: PolicyConfig): string | undefined =>
  policyDefaultLocalCluster ? clusterName : undefined;
