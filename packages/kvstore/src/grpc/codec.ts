import type {
  CompareArgs,
  CompareTarget,
  DeleteArgs,
  DeleteResult,
  OperationAnswer,
  OperationArgs,
  PutArgs,
  PutResult,
  RangeArgs,
  RangeResult,
  SortTarget,
  TxnArgs,
  TxnResult,
  WatchedEvent,
} from '../backend.ts';
import { NO_LEASE } from '../client.ts';
import { etcdError } from '../errors.ts';
import { type Bytes, fromArray } from '../keys.ts';
import { isDeletion, Version } from '../mvcc/version.ts';
import type {
  CompareMessage,
  DeleteRangeRequest,
  DeleteRangeResponse,
  EventMessage,
  Header,
  KeyValueMessage,
  Number64,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from './schema.ts';
import { fromBigint, toBigint, toNumber } from './schema.ts';

// Between etcd's messages and a backend's requests and answers, each way once: a server reads what a client writes.
// Enumerations are the places in these lists.
const ORDERS = [undefined, 'ascending', 'descending'] as const;
const TARGETS: readonly SortTarget[] = ['key', 'version', 'createRevision', 'modRevision', 'value'];
const OPERATORS: readonly CompareArgs['operator'][] = ['=', '>', '<', '!='];
const COMPARED = ['version', 'createRevision', 'modRevision', 'value', 'lease'] as const;
const COMPARED_FIELDS = ['version', 'create_revision', 'mod_revision', 'value', 'lease'] as const;
export const FILTERS = ['put', 'delete'] as const;
const EVENT_TYPES = ['put', 'delete'] as const;

export type MakeHeader = (revision: number) => Header;

const bytesOf = (bytes: Bytes): Buffer => Buffer.from(bytes, 'latin1');

export function readRangeRequest(request: RangeRequest): RangeArgs {
  const { key, range_end, sort_order, sort_target, keys_only, count_only } = request;
  const sortBy = TARGETS[sort_target];
  if (sortBy === undefined || !(sort_order in ORDERS)) throw etcdError('INVALID_SORT');
  const order = ORDERS[sort_order];
  return {
    key: fromArray(key),
    end: fromArray(range_end),
    limit: toNumber(request.limit),
    revision: toNumber(request.revision),
    sortBy,
    ...(order === undefined ? {} : { order }),
    keysOnly: keys_only,
    countOnly: count_only,
    minModRevision: toNumber(request.min_mod_revision),
    maxModRevision: toNumber(request.max_mod_revision),
    minCreateRevision: toNumber(request.min_create_revision),
    maxCreateRevision: toNumber(request.max_create_revision),
  };
}

export function writeRangeRequest(args: RangeArgs): Partial<RangeRequest> {
  return {
    key: bytesOf(args.key),
    range_end: bytesOf(args.end),
    limit: args.limit ?? 0,
    revision: args.revision ?? 0,
    sort_order: ORDERS.indexOf(args.order),
    sort_target: TARGETS.indexOf(args.sortBy ?? 'key'),
    keys_only: args.keysOnly ?? false,
    count_only: args.countOnly ?? false,
    min_mod_revision: args.minModRevision ?? 0,
    max_mod_revision: args.maxModRevision ?? 0,
    min_create_revision: args.minCreateRevision ?? 0,
    max_create_revision: args.maxCreateRevision ?? 0,
  };
}

export const readPutRequest = (request: PutRequest): PutArgs => ({
  key: fromArray(request.key),
  value: fromArray(request.value),
  leaseId: readId(request.lease),
  prevKv: request.prev_kv,
  ignoreValue: request.ignore_value,
  ignoreLease: request.ignore_lease,
});

export const writePutRequest = (args: PutArgs): PutRequest => ({
  key: bytesOf(args.key),
  value: bytesOf(args.value),
  lease: fromBigint(args.leaseId),
  prev_kv: args.prevKv ?? false,
  ignore_value: args.ignoreValue ?? false,
  ignore_lease: args.ignoreLease ?? false,
});

export const readDeleteRequest = ({ key, range_end, prev_kv }: DeleteRangeRequest): DeleteArgs => ({
  key: fromArray(key),
  end: fromArray(range_end),
  prevKv: prev_kv,
});

export const writeDeleteRequest = ({ key, end, prevKv = false }: DeleteArgs): DeleteRangeRequest => ({
  key: bytesOf(key),
  range_end: bytesOf(end),
  prev_kv: prevKv,
});

export const readTxnRequest = ({ compare, success, failure }: TxnRequest): TxnArgs => ({
  compare: compare.map(readCompare),
  success: success.map(readOperation),
  failure: failure.map(readOperation),
});

export const writeTxnRequest = ({ compare, success, failure }: TxnArgs): object => ({
  compare: compare.map(writeCompare),
  success: success.map(writeOperation),
  failure: failure.map(writeOperation),
});

/** An operation of no kind is a read of nothing, as etcd takes it: refused for its empty key. */
function readOperation(operation: RequestOp): OperationArgs {
  if (operation.request_put) return { type: 'put', ...readPutRequest(operation.request_put) };
  if (operation.request_delete_range) return { type: 'delete', ...readDeleteRequest(operation.request_delete_range) };
  if (operation.request_txn) return { type: 'txn', ...readTxnRequest(operation.request_txn) };
  if (operation.request_range) return { type: 'range', ...readRangeRequest(operation.request_range) };
  return { type: 'range', key: '', end: '' };
}

function writeOperation(operation: OperationArgs): object {
  switch (operation.type) {
    case 'put':
      return { request_put: writePutRequest(operation) };
    case 'delete':
      return { request_delete_range: writeDeleteRequest(operation) };
    case 'txn':
      return { request_txn: writeTxnRequest(operation) };
    case 'range':
      return { request_range: writeRangeRequest(operation) };
  }
}

function readCompare(compare: CompareMessage): CompareArgs {
  const range = { key: fromArray(compare.key), end: fromArray(compare.range_end) };
  return { ...range, operator: OPERATORS[compare.result] ?? '=', target: readTarget(compare) };
}

function readTarget(compare: CompareMessage): CompareTarget {
  const type = COMPARED[compare.target] ?? 'version';
  if (type === 'value') return { type, value: fromArray(compare.value ?? new Uint8Array(0)) };
  if (type === 'lease') return { type, leaseId: readId(compare.lease ?? 0) };
  return { type, number: toNumber((compare[COMPARED_FIELDS[compare.target] ?? 'version'] as Number64 | null) ?? 0) };
}

function writeCompare({ key, end, operator, target }: CompareArgs): object {
  const place = COMPARED.indexOf(target.type);
  const compared =
    target.type === 'value'
      ? bytesOf(target.value)
      : target.type === 'lease'
        ? fromBigint(target.leaseId)
        : target.number;
  return {
    result: OPERATORS.indexOf(operator),
    target: place,
    key: bytesOf(key),
    range_end: bytesOf(end),
    [COMPARED_FIELDS[place]!]: compared,
  };
}

const readId = (id: Number64): bigint =>
  id === 0 || (typeof id === 'object' && id.low === 0 && id.high === 0) ? NO_LEASE : toBigint(id);

export const readKeyValue = (kv: KeyValueMessage): Version =>
  new Version(
    fromArray(kv.key),
    fromArray(kv.value),
    toNumber(kv.create_revision),
    toNumber(kv.mod_revision),
    toNumber(kv.version),
    readId(kv.lease),
  );

export const writeKeyValue = (version: Version): KeyValueMessage => ({
  key: bytesOf(version.key),
  create_revision: version.createRevision,
  mod_revision: version.modRevision,
  version: version.version,
  value: bytesOf(version.value),
  lease: version.leaseId === NO_LEASE ? 0 : fromBigint(version.leaseId),
});

export const readEvent = ({ kv, prev_kv }: EventMessage): WatchedEvent => ({
  version: readKeyValue(kv),
  prev: prev_kv ? readKeyValue(prev_kv) : undefined,
});

export const writeEvent = ({ version, prev }: WatchedEvent): EventMessage => ({
  type: EVENT_TYPES.indexOf(isDeletion(version) ? 'delete' : 'put'),
  kv: writeKeyValue(version),
  prev_kv: prev === undefined ? null : writeKeyValue(prev),
});

export const readRangeResponse = ({ header, kvs, more, count }: RangeResponse): RangeResult => ({
  entries: kvs.map(readKeyValue),
  count: toNumber(count),
  more,
  revision: revisionOf(header),
});

export const writeRangeResponse = (
  { entries, more, count, revision }: RangeResult,
  header: MakeHeader,
): RangeResponse => ({
  header: header(revision),
  kvs: entries.map(writeKeyValue),
  more,
  count,
});

export const readPutResponse = ({ header, prev_kv }: PutResponse): PutResult => ({
  prev: prev_kv ? readKeyValue(prev_kv) : undefined,
  revision: revisionOf(header),
});

export const writePutResponse = ({ prev, revision }: PutResult, header: MakeHeader): PutResponse => ({
  header: header(revision),
  prev_kv: prev === undefined ? null : writeKeyValue(prev),
});

export const readDeleteResponse = ({ header, deleted, prev_kvs }: DeleteRangeResponse): DeleteResult => ({
  deleted: toNumber(deleted),
  prev: prev_kvs.map(readKeyValue),
  revision: revisionOf(header),
});

export const writeDeleteResponse = (
  { deleted, prev, revision }: DeleteResult,
  header: MakeHeader,
): DeleteRangeResponse => ({
  header: header(revision),
  deleted,
  prev_kvs: prev.map(writeKeyValue),
});

export const readTxnResponse = ({ header, succeeded, responses }: TxnResponse): TxnResult => ({
  succeeded,
  revision: revisionOf(header),
  answers: responses.map(readAnswer),
});

export const writeTxnResponse = ({ succeeded, revision, answers }: TxnResult, header: MakeHeader): TxnResponse => ({
  header: header(revision),
  succeeded,
  responses: answers.map((answer) => writeAnswer(answer, header)),
});

function readAnswer(answer: ResponseOp): OperationAnswer {
  if (answer.response_put) return { type: 'put', ...readPutResponse(answer.response_put) };
  if (answer.response_delete_range) return { type: 'delete', ...readDeleteResponse(answer.response_delete_range) };
  if (answer.response_txn) return { type: 'txn', ...readTxnResponse(answer.response_txn) };
  return { type: 'range', ...readRangeResponse(answer.response_range!) };
}

function writeAnswer(answer: OperationAnswer, header: MakeHeader): ResponseOp {
  switch (answer.type) {
    case 'put':
      return { response_put: writePutResponse(answer, header) };
    case 'delete':
      return { response_delete_range: writeDeleteResponse(answer, header) };
    case 'txn':
      return { response_txn: writeTxnResponse(answer, header) };
    case 'range':
      return { response_range: writeRangeResponse(answer, header) };
  }
}

/** Answers inside a transaction have no header of their own in some releases. */
const revisionOf = (header: Header | null): number => (header ? toNumber(header.revision) : 0);
