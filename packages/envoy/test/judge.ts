import { allowed, type CompiledPolicy, HeaderLog, type PolicyRequest, RequestHeaderMap } from '../src/index.ts';

/** What policy says about a request, what it leaves of its headers and what it notes. */
export function judge(
  policy: CompiledPolicy | undefined,
  request: PolicyRequest,
  remoteIdentity: number,
  port: number,
) {
  const headers = new RequestHeaderMap(request);
  const log = new HeaderLog();
  const verdict = allowed(policy, headers, log, { remoteIdentity, port });
  return { ...verdict, headers, missing: log.missing, rejected: log.rejected };
}
