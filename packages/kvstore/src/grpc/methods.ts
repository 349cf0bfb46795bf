import type { MethodDefinition } from '@grpc/grpc-js';
import { codec } from './schema.ts';

/** etcd's services: of each method the request, the answer, and which of them are streams. */
const SERVICES = {
  KV: {
    Range: ['RangeRequest', 'RangeResponse'],
    Put: ['PutRequest', 'PutResponse'],
    DeleteRange: ['DeleteRangeRequest', 'DeleteRangeResponse'],
    Txn: ['TxnRequest', 'TxnResponse'],
    Compact: ['CompactionRequest', 'CompactionResponse'],
  },
  Watch: { Watch: ['WatchRequest', 'WatchResponse', 'both'] },
  Lease: {
    LeaseGrant: ['LeaseGrantRequest', 'LeaseGrantResponse'],
    LeaseRevoke: ['LeaseRevokeRequest', 'LeaseRevokeResponse'],
    LeaseKeepAlive: ['LeaseKeepAliveRequest', 'LeaseKeepAliveResponse', 'both'],
    LeaseTimeToLive: ['LeaseTimeToLiveRequest', 'LeaseTimeToLiveResponse'],
    LeaseLeases: ['LeaseLeasesRequest', 'LeaseLeasesResponse'],
  },
  Cluster: {
    MemberAdd: ['Empty', 'Empty'],
    MemberRemove: ['Empty', 'Empty'],
    MemberUpdate: ['Empty', 'Empty'],
    MemberPromote: ['Empty', 'Empty'],
    MemberList: ['MemberListRequest', 'MemberListResponse'],
  },
  Maintenance: {
    Alarm: ['AlarmRequest', 'AlarmResponse'],
    Status: ['StatusRequest', 'StatusResponse'],
    Defragment: ['DefragmentRequest', 'DefragmentResponse'],
    HashKV: ['HashKVRequest', 'HashKVResponse'],
    Hash: ['Empty', 'Empty'],
    MoveLeader: ['Empty', 'Empty'],
    Snapshot: ['Empty', 'Empty', 'answer'],
  },
  Auth: {
    AuthEnable: ['Empty', 'Empty'],
    AuthDisable: ['Empty', 'Empty'],
    AuthStatus: ['AuthStatusRequest', 'AuthStatusResponse'],
    Authenticate: ['Empty', 'Empty'],
    UserAdd: ['Empty', 'Empty'],
    UserGet: ['Empty', 'Empty'],
    UserList: ['Empty', 'Empty'],
    UserDelete: ['Empty', 'Empty'],
    UserChangePassword: ['Empty', 'Empty'],
    UserGrantRole: ['Empty', 'Empty'],
    UserRevokeRole: ['Empty', 'Empty'],
    RoleAdd: ['Empty', 'Empty'],
    RoleGet: ['Empty', 'Empty'],
    RoleList: ['Empty', 'Empty'],
    RoleDelete: ['Empty', 'Empty'],
    RoleGrantPermission: ['Empty', 'Empty'],
    RoleRevokePermission: ['Empty', 'Empty'],
  },
} as const satisfies Record<string, Record<string, readonly [string, string, ('both' | 'answer')?]>>;

export type ServiceName = keyof typeof SERVICES;
export type MethodName<S extends ServiceName> = keyof (typeof SERVICES)[S] & string;

export function method<S extends ServiceName>(service: S, name: MethodName<S>): MethodDefinition<object, object> {
  const shape = SERVICES[service][name] as readonly [string, string, ('both' | 'answer')?];
  const [request, response] = [codec(shape[0]), codec(shape[1])];
  return {
    path: `/etcdserverpb.${service}/${name}`,
    requestStream: shape[2] === 'both',
    responseStream: shape[2] !== undefined,
    requestSerialize: request.encode,
    requestDeserialize: (bytes) => request.decode(bytes) as object,
    responseSerialize: response.encode,
    responseDeserialize: (bytes) => response.decode(bytes) as object,
  };
}

export const methodsOf = <S extends ServiceName>(service: S): MethodName<S>[] =>
  Object.keys(SERVICES[service]) as MethodName<S>[];
