import protobuf from 'protobufjs';

/**
 * etcd's messages as far as they are spoken here: names and field numbers are etcd's.
 * Source: etcd, api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto.
 */
const SCHEMA = `
syntax = "proto3";
message ResponseHeader { uint64 cluster_id = 1; uint64 member_id = 2; int64 revision = 3; uint64 raft_term = 4; }
message KeyValue {
  bytes key = 1; int64 create_revision = 2; int64 mod_revision = 3; int64 version = 4; bytes value = 5; int64 lease = 6;
}
message Event { int32 type = 1; KeyValue kv = 2; KeyValue prev_kv = 3; }

message RangeRequest {
  bytes key = 1; bytes range_end = 2; int64 limit = 3; int64 revision = 4; int32 sort_order = 5; int32 sort_target = 6;
  bool serializable = 7; bool keys_only = 8; bool count_only = 9; int64 min_mod_revision = 10;
  int64 max_mod_revision = 11; int64 min_create_revision = 12; int64 max_create_revision = 13;
}
message RangeResponse { ResponseHeader header = 1; repeated KeyValue kvs = 2; bool more = 3; int64 count = 4; }
message PutRequest {
  bytes key = 1; bytes value = 2; int64 lease = 3; bool prev_kv = 4; bool ignore_value = 5; bool ignore_lease = 6;
}
message PutResponse { ResponseHeader header = 1; KeyValue prev_kv = 2; }
message DeleteRangeRequest { bytes key = 1; bytes range_end = 2; bool prev_kv = 3; }
message DeleteRangeResponse { ResponseHeader header = 1; int64 deleted = 2; repeated KeyValue prev_kvs = 3; }
message RequestOp {
  oneof request {
    RangeRequest request_range = 1; PutRequest request_put = 2; DeleteRangeRequest request_delete_range = 3;
    TxnRequest request_txn = 4;
  }
}
message ResponseOp {
  oneof response {
    RangeResponse response_range = 1; PutResponse response_put = 2; DeleteRangeResponse response_delete_range = 3;
    TxnResponse response_txn = 4;
  }
}
message Compare {
  int32 result = 1; int32 target = 2; bytes key = 3;
  oneof target_union { int64 version = 4; int64 create_revision = 5; int64 mod_revision = 6; bytes value = 7; int64 lease = 8; }
  bytes range_end = 64;
}
message TxnRequest { repeated Compare compare = 1; repeated RequestOp success = 2; repeated RequestOp failure = 3; }
message TxnResponse { ResponseHeader header = 1; bool succeeded = 2; repeated ResponseOp responses = 3; }
message CompactionRequest { int64 revision = 1; bool physical = 2; }
message CompactionResponse { ResponseHeader header = 1; }

message WatchRequest {
  oneof request_union {
    WatchCreateRequest create_request = 1; WatchCancelRequest cancel_request = 2; WatchProgressRequest progress_request = 3;
  }
}
message WatchCreateRequest {
  bytes key = 1; bytes range_end = 2; int64 start_revision = 3; bool progress_notify = 4; repeated int32 filters = 5;
  bool prev_kv = 6; int64 watch_id = 7; bool fragment = 8;
}
message WatchCancelRequest { int64 watch_id = 1; }
message WatchProgressRequest {}
message WatchResponse {
  ResponseHeader header = 1; int64 watch_id = 2; bool created = 3; bool canceled = 4; int64 compact_revision = 5;
  string cancel_reason = 6; bool fragment = 7; repeated Event events = 11;
}

message LeaseGrantRequest { int64 TTL = 1; int64 ID = 2; }
message LeaseGrantResponse { ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; string error = 4; }
message LeaseRevokeRequest { int64 ID = 1; }
message LeaseRevokeResponse { ResponseHeader header = 1; }
message LeaseKeepAliveRequest { int64 ID = 1; }
message LeaseKeepAliveResponse { ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; }
message LeaseTimeToLiveRequest { int64 ID = 1; bool keys = 2; }
message LeaseTimeToLiveResponse {
  ResponseHeader header = 1; int64 ID = 2; int64 TTL = 3; int64 grantedTTL = 4; repeated bytes keys = 5;
}
message LeaseLeasesRequest {}
message LeaseStatus { int64 ID = 1; }
message LeaseLeasesResponse { ResponseHeader header = 1; repeated LeaseStatus leases = 2; }

message Member { uint64 ID = 1; string name = 2; repeated string peerURLs = 3; repeated string clientURLs = 4; bool isLearner = 5; }
message MemberListRequest { bool linearizable = 1; }
message MemberListResponse { ResponseHeader header = 1; repeated Member members = 2; }

message AlarmRequest { int32 action = 1; uint64 memberID = 2; int32 alarm = 3; }
message AlarmMember { uint64 memberID = 1; int32 alarm = 2; }
message AlarmResponse { ResponseHeader header = 1; repeated AlarmMember alarms = 2; }
message StatusRequest {}
message StatusResponse {
  ResponseHeader header = 1; string version = 2; int64 dbSize = 3; uint64 leader = 4; uint64 raftIndex = 5;
  uint64 raftTerm = 6; uint64 raftAppliedIndex = 7; repeated string errors = 8; int64 dbSizeInUse = 9; bool isLearner = 10;
}
message DefragmentRequest {}
message DefragmentResponse { ResponseHeader header = 1; }
message HashKVRequest { int64 revision = 1; }
message HashKVResponse { ResponseHeader header = 1; uint32 hash = 2; int64 compact_revision = 3; }
message AuthStatusRequest {}
message AuthStatusResponse { ResponseHeader header = 1; bool enabled = 2; uint64 authRevision = 3; }
message Empty {}
`;

const { root } = protobuf.parse(SCHEMA, new protobuf.Root(), { keepCase: true });

/** A 64-bit number as protobufjs reads it, and as it may be written. */
export interface Int64 {
  low: number;
  high: number;
}

// The messages as they are read: fields that were not sent have their defaults. To write one, any subset will do.
export type Number64 = number | Int64;
export interface KeyValueMessage {
  key: Uint8Array;
  create_revision: Number64;
  mod_revision: Number64;
  version: Number64;
  value: Uint8Array;
  lease: Number64;
}
export interface Header {
  cluster_id: Number64;
  member_id: Number64;
  revision: Number64;
  raft_term: Number64;
}
export interface RangeRequest {
  key: Uint8Array;
  range_end: Uint8Array;
  limit: Number64;
  revision: Number64;
  sort_order: number;
  sort_target: number;
  serializable: boolean;
  keys_only: boolean;
  count_only: boolean;
  min_mod_revision: Number64;
  max_mod_revision: Number64;
  min_create_revision: Number64;
  max_create_revision: Number64;
}
export interface RangeResponse {
  header: Header;
  kvs: KeyValueMessage[];
  more: boolean;
  count: Number64;
}
export interface PutRequest {
  key: Uint8Array;
  value: Uint8Array;
  lease: Number64;
  prev_kv: boolean;
  ignore_value: boolean;
  ignore_lease: boolean;
}
export interface PutResponse {
  header: Header;
  prev_kv: KeyValueMessage | null;
}
export interface DeleteRangeRequest {
  key: Uint8Array;
  range_end: Uint8Array;
  prev_kv: boolean;
}
export interface DeleteRangeResponse {
  header: Header;
  deleted: Number64;
  prev_kvs: KeyValueMessage[];
}
export interface RequestOp {
  request_range?: RangeRequest | null;
  request_put?: PutRequest | null;
  request_delete_range?: DeleteRangeRequest | null;
  request_txn?: TxnRequest | null;
}
export interface ResponseOp {
  response_range?: RangeResponse | null;
  response_put?: PutResponse | null;
  response_delete_range?: DeleteRangeResponse | null;
  response_txn?: TxnResponse | null;
}
export interface CompareMessage {
  result: number;
  target: number;
  key: Uint8Array;
  range_end: Uint8Array;
  version?: Number64 | null;
  create_revision?: Number64 | null;
  mod_revision?: Number64 | null;
  value?: Uint8Array | null;
  lease?: Number64 | null;
}
export interface TxnRequest {
  compare: CompareMessage[];
  success: RequestOp[];
  failure: RequestOp[];
}
export interface TxnResponse {
  header: Header;
  succeeded: boolean;
  responses: ResponseOp[];
}
export interface WatchCreateRequest {
  key: Uint8Array;
  range_end: Uint8Array;
  start_revision: Number64;
  progress_notify: boolean;
  filters: number[];
  prev_kv: boolean;
  watch_id: Number64;
  fragment: boolean;
}
export interface WatchRequest {
  create_request?: WatchCreateRequest | null;
  cancel_request?: { watch_id: Number64 } | null;
  progress_request?: object | null;
}
export interface EventMessage {
  type: number;
  kv: KeyValueMessage;
  prev_kv: KeyValueMessage | null;
}
export interface WatchResponse {
  header: Header;
  watch_id: Number64;
  created: boolean;
  canceled: boolean;
  compact_revision: Number64;
  cancel_reason: string;
  fragment: boolean;
  events: EventMessage[];
}

/** One message's bytes. What is written is a subset of what is read. */
export interface Codec {
  encode(message: object): Buffer;
  decode(bytes: Uint8Array): unknown;
}

const codecs = new Map<string, Codec>();

export function codec(name: string): Codec {
  let found = codecs.get(name);
  if (found === undefined) {
    const type = root.lookupType(name);
    found = {
      encode: (message) => type.encode(message as protobuf.Message).finish() as Buffer,
      decode: (bytes) => type.decode(bytes),
    };
    codecs.set(name, found);
  }
  return found;
}

export const toNumber = (value: Number64): number =>
  typeof value === 'number' ? value : value.high * 2 ** 32 + (value.low >>> 0);

export const toBigint = (value: Number64): bigint =>
  typeof value === 'number' ? BigInt(value) : (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);

export const fromBigint = (value: bigint): Int64 => ({
  low: Number(BigInt.asIntN(32, value)),
  high: Number(BigInt.asIntN(32, value >> 32n)),
});
