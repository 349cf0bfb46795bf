import { type LeaseId, NO_LEASE } from '../client.ts';
import type { StoreRecord } from '../disk/records.ts';
import { KvstoreError } from '../errors.ts';
import { History } from './history.ts';
import { Leases } from './leases.ts';
import { Version } from './version.ts';

/** All that a store remembers; told again, record by record, by a snapshot and the log after it. */
export class StoreState {
  readonly history = new History();
  readonly leases: Leases;

  constructor(nowNs: () => bigint, firstLeaseId: LeaseId) {
    this.leases = new Leases(nowNs, firstLeaseId);
  }

  /** @throws CORRUPT: the record does not follow from those before it */
  restore(record: Exclude<StoreRecord, { type: 'end' }>): void {
    const { history, leases } = this;
    switch (record.type) {
      case 'put': {
        const before = history.newest(record.key)?.leaseId ?? NO_LEASE;
        history.put(record.key, record.value, record.leaseId);
        leases.move(record.key, before, record.leaseId);
        return;
      }
      case 'delete':
        leases.move(record.key, history.delete(record.key)?.leaseId ?? NO_LEASE, NO_LEASE);
        return;
      case 'commit':
        history.commit();
        if (history.revision !== record.revision) {
          const context = { revision: record.revision, expected: history.revision };
          throw new KvstoreError('CORRUPT', 'a record of another revision than the one that follows', context);
        }
        return;
      // A snapshot may know already of a lease that the log after it grants, or revokes, or of a compaction.
      case 'grant':
        if (leases.find(record.leaseId) === undefined) leases.grant(record.leaseId, record.ttlSeconds);
        return;
      case 'revoke':
        leases.remove(record.leaseId);
        return;
      case 'compact':
        if (record.revision > history.compactRevision) history.compact(record.revision);
        return;
      case 'begin':
        history.restoreRevisions(record.revision, record.compactRevision);
        leases.restoreNextId(record.nextLeaseId);
        return;
      case 'version': {
        const { key, value, createRevision, modRevision, version, leaseId } = record;
        history.restoreVersion(new Version(key, value, createRevision, modRevision, version, leaseId));
        return;
      }
    }
  }
}
