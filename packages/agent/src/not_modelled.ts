import type { EndpointPolicy, PolicyRepository, RedirectFilter } from '@ciliate/policy';
import { AgentError } from './errors.ts';

/**
 * Refuse, by name, what the policy room understands and the rest of the emulator does not yet.
 * @throws AgentError BAD_INPUT
 */
export function checkRules(repository: PolicyRepository): void {
  const [prefix] = repository.prefixes();
  if (prefix !== undefined) refuse(`a rule names ${prefix}: identities of prefixes`);
  const [name] = repository.fqdnSelectors();
  if (name !== undefined) refuse(`a rule names ${name.matchName || name.matchPattern}: names learnt by the DNS proxy`);
}

/** The same for what one endpoint's proxy would have to do. */
export function checkRedirects({ redirects }: EndpointPolicy): void {
  for (const filter of redirects) {
    const problem = problemOf(filter);
    if (problem !== undefined) refuse(problem);
  }
}

function problemOf({ direction, portName, selectors }: RedirectFilter): string | undefined {
  for (const { parser, origins } of selectors) {
    if (parser === '') continue;
    const rule = `${origins[0]?.kind} ${origins[0]?.name}`;
    if (direction === 'egress') return `${rule}: L7 rules for egress`;
    if (parser !== 'http') return `${rule}: the proxy's filter "${parser}"`;
    if (portName !== '') return `${rule}: L7 rules for a named port`;
  }
  return undefined;
}

function refuse(what: string): never {
  throw new AgentError('BAD_INPUT', `${what} cannot be emulated yet`);
}
