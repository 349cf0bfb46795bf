import { RejectedPolicy } from './matcher.ts';
import type { HeaderMatch } from './npds.ts';
import type { RequestHeaderMap } from './request_header_map.ts';

/** A header as the access log names it. */
export interface LoggedHeader {
  readonly name: string;
  readonly value: string;
}

/** What header rules noticed about one request; nothing is noted twice. */
export class HeaderLog {
  /** What rules expected and did not find. */
  readonly missing: LoggedHeader[] = [];
  /** What rules did not want. */
  readonly rejected: LoggedHeader[] = [];

  note(kind: 'missing' | 'rejected', header: LoggedHeader): void {
    const list = this[kind];
    if (!list.some(({ name, value }) => name === header.name && value === header.value)) list.push(header);
  }
}

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** May change the request. @returns whether the rule it belongs to can still allow it */
export type HeaderAction = (headers: RequestHeaderMap, log: HeaderLog) => boolean;

/**
 * Without a value it matches if the header is there, else if all its values, joined with commas, are the value. What is done
 * then stays done, even if the request is denied in the end. Source: cilium/network_policy.cc, HeaderMatch.
 * @throws RejectedPolicy naming the field, which is at `at` in the message
 */
export function compileHeaderMatch(match: HeaderMatch, at: string): HeaderAction {
  if (!match.name) throw new RejectedPolicy(`${at}.name: missing`);
  const name = match.name.toLowerCase();
  if (!TOKEN.test(name) && !name.startsWith(':')) throw new RejectedPolicy(`${at}.name: no name of a header`);
  if (/[\0\r\n]/.test(match.value ?? '')) throw new RejectedPolicy(`${at}.value: ends a line`);
  // One char a byte, as in requests: headers are bytes.
  const expected = Buffer.from(match.value ?? '').toString('latin1');
  const { matchAction = 'CONTINUE_ON_MATCH', mismatchAction = 'FAIL_ON_MISMATCH', valueSdsSecret } = match;
  // As while a secret has not come yet: a value beside it stands in for it, and without one nothing matches.
  if (valueSdsSecret && expected === '') return () => false;
  const logged = (value: string): LoggedHeader => ({ name, value: valueSdsSecret ? '[redacted]' : value });
  return (headers, log) => {
    const found = headers.get(name);
    if (found !== undefined && (expected === '' || found === expected)) {
      if (matchAction === 'CONTINUE_ON_MATCH') return true;
      log.note('rejected', logged(expected));
      if (matchAction === 'DELETE_ON_MATCH') headers.remove(name);
      return matchAction === 'DELETE_ON_MATCH';
    }
    switch (mismatchAction) {
      case 'DELETE_ON_MISMATCH':
        if (found === undefined) return true;
        log.note('rejected', logged(found));
        headers.remove(name);
        return true;
      case 'REPLACE_ON_MISMATCH':
        if (found !== undefined) log.note('rejected', logged(found));
        headers.set(name, expected);
        break;
      case 'ADD_ON_MISMATCH':
        headers.add(name, expected);
        break;
    }
    log.note('missing', logged(expected));
    return mismatchAction !== 'FAIL_ON_MISMATCH';
  };
}
