import type { HttpConfig } from '../http_config.ts';
import type { NetworkPolicyMap } from '../network_policy.ts';
import type { AccessLog } from '../protocol.ts';

/** What the connections of one worker share. */
export interface Runtime {
  readonly seed: number;
  readonly http: HttpConfig;
  /** Are log entries wanted? */
  readonly logs: boolean;
  readonly policies: NetworkPolicyMap;
  /** All that are open. */
  readonly connections: Set<{ sweep(nowNs: bigint): void; destroy(): void }>;
  /** Since 1970. */
  nowNs(): bigint;
  log(connection: number, request: number, record: AccessLog): void;
}
