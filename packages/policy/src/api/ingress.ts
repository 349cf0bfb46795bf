import type { EndpointSelector } from '@ciliate/labels';
import { entitySelectors } from './entity.ts';
import type { IngressRule } from './rule.ts';

/**
 * Who an ingress rule lets in.
 *
 * @returns undefined: nobody, a peer list is present and empty. An empty list: the rule names no peers (with ports that
 *   means everybody, without it allows nothing). Source: pkg/policy/api/ingress.go.
 */
export function sourceSelectors(rule: IngressRule, clusterName: string): readonly EndpointSelector[] | undefined {
  const { fromEndpoints, fromEntities } = rule;
  if (fromEndpoints?.length === 0 || fromEntities?.length === 0) return undefined;
  return [
    ...(fromEndpoints ?? []).map(({ selector }) => selector),
    ...(fromEntities ?? []).flatMap((entity) => entitySelectors(entity, clusterName)),
  ];
}
