import type { FQDNSelector } from '@ciliate/k8s';
import type { Place } from './place.ts';

/**
 * Refuse characters that a DNS name cannot have. `*` may stand anywhere in a pattern; nothing looks at the dots.
 * @throws PolicyError
 * Source: pkg/policy/api/fqdn.go.
 */
export function checkDnsNames({ matchName, matchPattern }: FQDNSelector, place: Place): void {
  if (matchName !== '' && !/^[-a-zA-Z0-9_.]+$/.test(matchName)) {
    const meant = /^[-a-zA-Z0-9_.*]+$/.test(matchName) ? ', did you mean matchPattern?' : '';
    const problem = `may only have letters, digits, "-", "_" and "."${meant}`;
    place.at('matchName').refuse(`${JSON.stringify(matchName)} is not a DNS name: it ${problem}`);
  }
  if (matchPattern !== '' && !/^[-a-zA-Z0-9_.*]+$/.test(matchPattern)) {
    const problem = 'may only have letters, digits, "-", "_", "." and "*"';
    place.at('matchPattern').refuse(`${JSON.stringify(matchPattern)} is not a pattern of DNS names: it ${problem}`);
  }
}

/**
 * An entry of `toFQDNs`, which unlike a DNS rule may not have both forms at once.
 * @throws PolicyError
 */
export function checkFqdnSelector(selector: FQDNSelector, place: Place): void {
  if (selector.matchName !== '' && selector.matchPattern !== '') {
    place.refuse('matchName and matchPattern cannot stand in one entry: write two entries');
  }
  checkDnsNames(selector, place);
}
