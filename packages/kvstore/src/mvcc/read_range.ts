import type { RangeArgs, RangeResult, SortTarget } from '../backend.ts';
import type { History } from './history.ts';
import { Version } from './version.ts';

/**
 * Answer a range request at a revision. Source: etcd, server/etcdserver/apply.go, Range.
 *
 * @param revision where the request names none; also the newest revision that may be named
 * @throws COMPACTED, FUTURE_REVISION
 */
export function readRange(history: History, request: RangeArgs, revision: number): RangeResult {
  if (request.revision) history.checkRevision(request.revision, revision);
  const answer = { entries: [] as Version[], count: 0, more: false, revision };
  const limit = request.limit || Number.POSITIVE_INFINITY;
  const sort = sorting(request);
  const wants = bounds(request);
  // A sort or a bound must see all; otherwise what lies beyond the limit is only counted.
  const collect = request.countOnly ? 0 : sort || wants ? Number.POSITIVE_INFINITY : limit;
  for (const version of history.read(request, request.revision || revision)) {
    if (answer.count++ < collect && (wants === undefined || wants(version))) answer.entries.push(version);
  }
  if (request.countOnly) return answer;
  if (sort) answer.entries.sort(sort);
  answer.more = answer.entries.length > limit || (collect === limit && answer.count > limit);
  if (answer.entries.length > limit) answer.entries.length = limit;
  if (request.keysOnly) answer.entries = answer.entries.map(withoutValue);
  return answer;
}

/** undefined: the order of the keys, in which they are found. */
function sorting({ sortBy = 'key', order }: RangeArgs): ((a: Version, b: Version) => number) | undefined {
  if (sortBy === 'key' && order !== 'descending') return undefined;
  const compare = by(sortBy);
  return order === 'descending' ? (a, b) => compare(b, a) : compare;
}

const by = (target: SortTarget) => (a: Version, b: Version) =>
  a[target] < b[target] ? -1 : a[target] > b[target] ? 1 : 0;

function bounds(request: RangeArgs): ((version: Version) => boolean) | undefined {
  const { minModRevision = 0, maxModRevision = 0, minCreateRevision = 0, maxCreateRevision = 0 } = request;
  if (!(minModRevision || maxModRevision || minCreateRevision || maxCreateRevision)) return undefined;
  const maxMod = maxModRevision || Number.POSITIVE_INFINITY;
  const maxCreate = maxCreateRevision || Number.POSITIVE_INFINITY;
  return ({ modRevision, createRevision }) =>
    modRevision >= minModRevision &&
    modRevision <= maxMod &&
    createRevision >= minCreateRevision &&
    createRevision <= maxCreate;
}

const withoutValue = ({ key, createRevision, modRevision, version, leaseId }: Version): Version =>
  new Version(key, '', createRevision, modRevision, version, leaseId);
