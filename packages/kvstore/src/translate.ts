import type {
  CompareArgs,
  OperationAnswer,
  OperationArgs,
  PutArgs,
  RangeResult,
  TxnArgs,
  TxnResult,
} from './backend.ts';
import {
  type Compare,
  type KeyValue,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutOptions,
  type RangeResponse,
  type Span,
  type TxnRequest,
  type TxnResponse,
  type Value,
} from './client.ts';
import { type Bytes, FROM_KEY, fromArray, fromText, type KeyRange, prefixRange, toArray, toText } from './keys.ts';
import type { Version } from './mvcc/version.ts';

// The client interface speaks of texts, a backend of bytes: here one becomes the other.

export function spanRange(span: Span): KeyRange {
  if ('key' in span) return { key: fromText(span.key), end: '' };
  if ('prefix' in span) return prefixRange(fromText(span.prefix));
  return { key: fromText(span.from), end: span.to === undefined ? FROM_KEY : fromText(span.to) };
}

const valueBytes = (value: Value): Bytes => (typeof value === 'string' ? fromText(value) : fromArray(value));

export function putArgs(key: string, value: Value, options: PutOptions = {}): PutArgs {
  return { leaseId: NO_LEASE, ...options, key: fromText(key), value: valueBytes(value) };
}

function compareArgs(compare: Compare): CompareArgs {
  const { operator } = compare;
  const range = spanRange(compare);
  switch (compare.target) {
    case 'value':
      return { ...range, operator, target: { type: 'value', value: valueBytes(compare.value) } };
    case 'lease':
      return { ...range, operator, target: { type: 'lease', leaseId: compare.leaseId } };
    default:
      return { ...range, operator, target: { type: compare.target, number: compare.number } };
  }
}

function operationArgs(operation: Operation): OperationArgs {
  switch (operation.type) {
    case 'put':
      return { type: 'put', ...putArgs(operation.key, operation.value, putOptions(operation)) };
    case 'delete':
      return { type: 'delete', ...spanRange(operation) };
    case 'get': {
      const { type: _type, ...options } = operation;
      return { ...options, type: 'range', ...spanRange(operation) };
    }
    case 'txn':
      return { type: 'txn', ...txnArgs(operation.request) };
  }
}

function putOptions({ leaseId = NO_LEASE, ignoreValue = false, ignoreLease = false }: PutOptions): PutOptions {
  return { leaseId, ignoreValue, ignoreLease };
}

export const txnArgs = ({ compare, success, failure = [] }: TxnRequest): TxnArgs => ({
  compare: compare.map(compareArgs),
  success: success.map(operationArgs),
  failure: failure.map(operationArgs),
});

export const keyValue = (version: Version): KeyValue => ({
  key: toText(version.key),
  value: toArray(version.value),
  createRevision: version.createRevision,
  modRevision: version.modRevision,
  version: version.version,
  leaseId: version.leaseId,
});

export const rangeResponse = ({ entries, count, more, revision }: RangeResult): RangeResponse => ({
  entries: entries.map(keyValue),
  count,
  more,
  revision,
});

export const txnResponse = ({ succeeded, revision, answers }: TxnResult): TxnResponse => ({
  succeeded,
  revision,
  results: answers.map(operationResult),
});

function operationResult(answer: OperationAnswer): OperationResult {
  switch (answer.type) {
    case 'range':
      return { entries: answer.entries.map(keyValue), count: answer.count, deleted: 0 };
    case 'put':
      return { entries: [], count: 0, deleted: 0 };
    case 'delete':
      return { entries: [], count: 0, deleted: answer.deleted };
    case 'txn':
      return { entries: [], count: 0, deleted: 0, txn: txnResponse(answer) };
  }
}
