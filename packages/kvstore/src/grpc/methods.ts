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

/** A method as a server sees it: what it reads and what it answers. A client has it the other way round. */
export interface Method {
  path: string;
  isStream: boolean;
  decode: (bytes: Uint8Array) => unknown;
  encode: (message: object) => Buffer;
}

export function method<S extends ServiceName>(service: S, name: MethodName<S>): Method {
  const [request, response, stream] = shapeOf(service, name);
  const path = `/etcdserverpb.${service}/${name}`;
  return { path, isStream: stream !== undefined, decode: codec(request).decode, encode: codec(response).encode };
}

export function clientMethod<S extends ServiceName>(
  service: S,
  name: MethodName<S>,
): { path: string; encode: (message: object) => Buffer; decode: (bytes: Uint8Array) => object } {
  const [request, response] = shapeOf(service, name);
  const path = `/etcdserverpb.${service}/${name}`;
  return { path, encode: codec(request).encode, decode: codec(response).decode as (bytes: Uint8Array) => object };
}

const shapeOf = <S extends ServiceName>(service: S, name: MethodName<S>) =>
  SERVICES[service][name] as readonly [request: string, response: string, stream?: 'both' | 'answer'];

export const methodsOf = <S extends ServiceName>(service: S): MethodName<S>[] =>
  Object.keys(SERVICES[service]) as MethodName<S>[];
