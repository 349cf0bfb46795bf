import type {
  DeleteArgs,
  DeleteResult,
  OperationAnswer,
  OperationArgs,
  PutArgs,
  TxnArgs,
  TxnResult,
} from '../backend.ts';
import { NO_LEASE } from '../client.ts';
import { etcdError } from '../errors.ts';
import type { History } from './history.ts';
import type { Leases } from './leases.ts';
import { readRange } from './read_range.ts';
import { holds } from './txn_rules.ts';
import type { Version } from './version.ts';

/** Which branch of a transaction, and of each one nested in that branch, is taken. */
interface Path {
  succeeded: boolean;
  nested: Path[];
}

/** One transaction on the newest state. Nothing is written unless all of it can be. The caller commits. */
export class Txn {
  readonly #history: History;
  readonly #leases: Leases;
  /** The revision that the answers name: the next one as soon as something is written. */
  #revision: number;

  constructor(history: History, leases: Leases) {
    this.#history = history;
    this.#leases = leases;
    this.#revision = history.revision;
  }

  /** @throws what the operations of the branches taken are refused with; nothing is written then */
  run(request: TxnArgs): TxnResult {
    const path = this.#path(request);
    this.#check(request, path);
    return this.#apply(request, path);
  }

  put(request: PutArgs): Version | undefined {
    const before = this.#history.newest(request.key);
    const value = request.ignoreValue ? before!.value : request.value;
    const leaseId = request.ignoreLease ? before!.leaseId : request.leaseId;
    this.#history.put(request.key, value, leaseId);
    this.#leases.move(request.key, before?.leaseId ?? NO_LEASE, leaseId);
    this.#revision = this.#history.revision + 1;
    return before;
  }

  delete(request: DeleteArgs): Version[] {
    const found = [...this.#history.read(request, Number.POSITIVE_INFINITY)];
    for (const { key, leaseId } of found) {
      this.#history.delete(key);
      this.#leases.move(key, leaseId, NO_LEASE);
    }
    if (found.length > 0) this.#revision = this.#history.revision + 1;
    return found;
  }

  /** All conditions, nested ones too, are judged on the state before the transaction, as in etcd. */
  #path({ compare, success, failure }: TxnArgs): Path {
    const succeeded = compare.every((condition) => holds(condition, this.#history));
    const taken = succeeded ? success : failure;
    return { succeeded, nested: taken.filter((operation) => operation.type === 'txn').map((txn) => this.#path(txn)) };
  }

  #check(request: TxnArgs, path: Path): void {
    let nested = 0;
    for (const operation of path.succeeded ? request.success : request.failure) {
      switch (operation.type) {
        case 'txn':
          this.#check(operation, path.nested[nested++]!);
          break;
        case 'put':
          this.#checkPut(operation);
          break;
        case 'range':
          if (operation.revision) this.#history.checkRevision(operation.revision, this.#history.revision);
      }
    }
  }

  #checkPut({ key, leaseId, ignoreValue, ignoreLease }: PutArgs): void {
    if (leaseId !== NO_LEASE) this.#leases.get(leaseId);
    if ((ignoreValue || ignoreLease) && this.#history.newest(key) === undefined) throw etcdError('KEY_NOT_FOUND');
  }

  #apply(request: TxnArgs, path: Path): TxnResult {
    let nested = 0;
    const answers = (path.succeeded ? request.success : request.failure).map((operation): OperationAnswer => {
      if (operation.type === 'txn') return { type: 'txn', ...this.#apply(operation, path.nested[nested++]!) };
      return this.#applyOne(operation);
    });
    return { succeeded: path.succeeded, revision: this.#revision, answers };
  }

  #applyOne(operation: Exclude<OperationArgs, { type: 'txn' }>): OperationAnswer {
    switch (operation.type) {
      case 'put': {
        const before = this.put(operation);
        return { type: 'put', prev: operation.prevKv ? before : undefined, revision: this.#revision };
      }
      case 'delete':
        return { type: 'delete', ...this.#deleted(operation) };
      case 'range':
        return { type: 'range', ...readRange(this.#history, operation, this.#revision) };
    }
  }

  #deleted(operation: DeleteArgs): DeleteResult {
    const found = this.delete(operation);
    return { deleted: found.length, prev: operation.prevKv ? found : [], revision: this.#revision };
  }
}
