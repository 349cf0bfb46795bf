import type { PolicyObject } from '@ciliate/k8s';
import { Place } from '../api/place.ts';
import type { Rule } from '../api/rule.ts';
import { parseCiliumNetworkPolicy } from './cilium_network_policy.ts';
import type { TranslateContext } from './context.ts';
import { parseNetworkPolicy } from './network_policy.ts';

export type { ServiceView, TranslateContext } from './context.ts';

/**
 * Check a policy object and translate it into rules.
 * @throws PolicyError with the first thing that Cilium refuses; NotModelledError if there is none, but something in it
 *   that Cilium knows and this does not
 */
export function parsePolicy(object: PolicyObject, context: TranslateContext): Rule[] {
  if (object.metadata.name === '') Place.of(object, 'metadata').at('name').refuse('a policy must have a name');
  return object.kind === 'NetworkPolicy'
    ? parseNetworkPolicy(object, context)
    : parseCiliumNetworkPolicy(object, context);
}
