import type { CompareArgs, OperationArgs, TxnArgs } from '../backend.ts';
import { etcdError } from '../errors.ts';
import { type Bytes, contains, type KeyRange } from '../keys.ts';
import type { History } from './history.ts';
import type { Version } from './version.ts';

/** The most compares, and operations of a branch, in one transaction. Source: etcd's --max-txn-ops. */
const MAX_OPERATIONS = 128;

/**
 * Is the request right, whatever is stored? Both branches must be, taken or not.
 * Source: etcd, server/etcdserver/api/v3rpc/key.go.
 * @throws EMPTY_KEY, DUPLICATE_KEY, TOO_MANY_OPERATIONS, VALUE_PROVIDED, LEASE_PROVIDED
 */
export function checkTxn(request: TxnArgs): void {
  checkOperations(request);
  checkWrites(request.success);
  checkWrites(request.failure);
}

function checkOperations({ compare, success, failure }: TxnArgs): void {
  const most = Math.max(compare.length, success.length, failure.length);
  if (most > MAX_OPERATIONS) throw etcdError('TOO_MANY_OPERATIONS', { operations: most, most: MAX_OPERATIONS });
  for (const { key } of compare) if (key === '') throw etcdError('EMPTY_KEY');
  for (const operation of success) checkOperation(operation);
  for (const operation of failure) checkOperation(operation);
}

export function checkOperation(operation: OperationArgs): void {
  if (operation.type === 'txn') {
    checkOperations(operation);
    return;
  }
  if (operation.key === '') throw etcdError('EMPTY_KEY');
  if (operation.type !== 'put') return;
  if (operation.ignoreValue && operation.value !== '') throw etcdError('VALUE_PROVIDED');
  if (operation.ignoreLease && operation.leaseId !== 0n) throw etcdError('LEASE_PROVIDED');
}

interface Writes {
  puts: ReadonlySet<Bytes>;
  deletes: readonly KeyRange[];
}

/** No key may be put twice, nor put and deleted; the two branches of a nested transaction do not meet. */
function checkWrites(operations: readonly OperationArgs[]): Writes {
  const puts = new Set<Bytes>();
  const deletes: KeyRange[] = operations.filter((operation) => operation.type === 'delete');
  const add = (key: Bytes): void => {
    if (puts.has(key) || deletes.some((range) => contains(range, key))) throw etcdError('DUPLICATE_KEY');
    puts.add(key);
  };
  for (const operation of operations) {
    if (operation.type !== 'txn') continue;
    const success = checkWrites(operation.success);
    const failure = checkWrites(operation.failure);
    for (const key of success.puts) add(key);
    for (const key of failure.puts) if (!success.puts.has(key)) add(key);
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const operation of operations) if (operation.type === 'put') add(operation.key);
  return { puts, deletes };
}

/** Does the condition hold for every key of its range? A key that does not exist has no value, and 0 of the rest. */
export function holds(compare: CompareArgs, history: History): boolean {
  if (compare.end === '') return holdsFor(compare, history.newest(compare.key));
  let found = false;
  for (const version of history.read(compare, Number.POSITIVE_INFINITY)) {
    found = true;
    if (!holdsFor(compare, version)) return false;
  }
  return found || holdsFor(compare, undefined);
}

function holdsFor({ operator, target }: CompareArgs, version: Version | undefined): boolean {
  switch (target.type) {
    case 'value':
      return version !== undefined && ordered(version.value, operator, target.value);
    case 'lease':
      return ordered(version?.leaseId ?? 0n, operator, target.leaseId);
    default:
      return ordered(version?.[target.type] ?? 0, operator, target.number);
  }
}

function ordered<T extends string | number | bigint>(a: T, operator: CompareArgs['operator'], b: T): boolean {
  switch (operator) {
    case '=':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '>':
      return a > b;
  }
}
