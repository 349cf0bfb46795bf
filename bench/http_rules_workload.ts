import {
  allowed,
  CompiledPolicy,
  HeaderLog,
  httpRulesToNpds,
  type PolicyRequest,
  RequestHeaderMap,
} from '@ciliate/envoy';
import { Random } from './random.ts';

export const REQUESTS = 4096;
const ASKED = { remoteIdentity: 1001, port: 80 };

export interface Rule {
  readonly method: string;
  readonly path: string;
}
/** @returns how many of the requests pass */
export type Decide = (requests: readonly PolicyRequest[]) => number;

/** A third of them name one path, a third a number in it, a third a whole tree. */
export const rulesFor = (size: number): Rule[] => Array.from({ length: size }, (_, index) => ruleOf(index));

function ruleOf(index: number): Rule {
  const base = `/api/v1/service${index}`;
  const path = [`${base}/items`, `${base}/items/[0-9]+`, `${base}(/.*)?`][index % 3]!;
  return { method: index % 2 === 0 ? 'GET' : 'GET|POST', path };
}

export function requestsFor(size: number, seed: number): PolicyRequest[] {
  const random = new Random(seed);
  return Array.from({ length: REQUESTS }, () => {
    const index = random.below(size);
    const path = `/api/v1/service${index}/items${index % 3 === 0 ? '' : `/${random.below(1e6)}`}`;
    const hit = random.below(2) === 0;
    return { method: 'GET', path: hit ? path : `${path}x?y=${random.below(1e6)}`, authority: 'deathstar' };
  });
}

/** The proxy's filter. */
export function filterOf(rules: readonly Rule[]): Decide {
  const httpRules = httpRulesToNpds(rules)!;
  const policy = new CompiledPolicy({
    ...{ endpointIps: ['10.0.0.1'], endpointId: 1 },
    ingressPerPortPolicies: [{ port: ASKED.port, rules: [{ httpRules }] }],
  });
  const log = new HeaderLog();
  return (requests) => {
    let count = 0;
    for (const request of requests) if (allowed(policy, new RequestHeaderMap(request), log, ASKED).allowed) count++;
    return count;
  };
}
