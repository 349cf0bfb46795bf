import { type LeaseId, NO_LEASE } from '../client.ts';
import type { Bytes } from '../keys.ts';

/** What a key was from one revision on. A deletion is a version too: its `version` is 0. */
export class Version {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly leaseId: LeaseId;
  /** What the key was before, as long as that is held. */
  prev: Version | undefined;

  constructor(
    key: Bytes,
    value: Bytes,
    createRevision: number,
    modRevision: number,
    version: number,
    leaseId: LeaseId,
    prev?: Version,
  ) {
    this.key = key;
    this.value = value;
    this.createRevision = createRevision;
    this.modRevision = modRevision;
    this.version = version;
    this.leaseId = leaseId;
    this.prev = prev;
  }
}

export const isDeletion = (version: Version): boolean => version.version === 0;

export const deletionOf = (before: Version, revision: number): Version =>
  new Version(before.key, '', 0, revision, 0, NO_LEASE, before);
