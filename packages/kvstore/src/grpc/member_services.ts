import { etcdError, STATUS } from '../errors.ts';
import { methodsOf } from './methods.ts';
import { fromBigint, type Number64, toNumber } from './schema.ts';
import { type Handlers, refused, type ServiceContext, type StreamCall, type StreamListener } from './service.ts';

/** The release of etcd whose answers these are. */
const ETCD_VERSION = '3.4.0';
const NO_SPACE_ALARM = 1;
const GET_ALARMS = 0;
const ONE_MEMBER = 'this store is one process, not a cluster';
const NO_USERS = 'this store has no users and roles; client certificates keep others out';

export function clusterService({ store, header, memberId, clientUrl }: ServiceContext): Handlers {
  const ID = fromBigint(memberId);
  return {
    ...refuseAll('Cluster', ONE_MEMBER),
    MemberList: () => ({
      header: header(store.revision),
      members: [{ ID, name: 'ciliate', peerURLs: [], clientURLs: [clientUrl], isLearner: false }],
    }),
  };
}

export function maintenanceService({ store, header, memberId }: ServiceContext): Handlers {
  const now = () => header(store.revision);
  return {
    ...refuseAll('Maintenance', ONE_MEMBER),
    Status: () => ({
      header: now(),
      version: ETCD_VERSION,
      dbSize: store.size,
      dbSizeInUse: store.size,
      leader: fromBigint(memberId),
      raftIndex: store.revision,
      raftAppliedIndex: store.revision,
      raftTerm: now().raft_term,
      errors: store.failure === undefined ? [] : [store.failure.message],
    }),
    Alarm: ({ action }: { action: number }) => {
      const isFull = store.failure?.code === 'NO_SPACE' && action === GET_ALARMS;
      return { header: now(), alarms: isFull ? [{ memberID: fromBigint(memberId), alarm: NO_SPACE_ALARM }] : [] };
    },
    Defragment: () => ({ header: now() }), // there is nothing that fragments
    HashKV: async ({ revision }: { revision: Number64 }) => ({
      header: now(),
      hash: store.hash(toNumber(revision)),
      compact_revision: store.compactRevision,
    }),
    Hash: refused('Hash', 'ask for HashKV'),
    Snapshot: (call: StreamCall): StreamListener => {
      const details = 'Snapshot: this store has no bolt database; copy its data directory';
      call.end({ code: STATUS.unimplemented, details });
      return { receive: () => {}, finished: () => {}, closed: () => {} };
    },
  };
}

export const authService = ({ store, header }: ServiceContext): Handlers => ({
  ...refuseAll('Auth', NO_USERS),
  AuthStatus: () => ({ header: header(store.revision), enabled: false, authRevision: 1 }),
  Authenticate: () => {
    throw etcdError('AUTH_NOT_ENABLED');
  },
});

const refuseAll = (service: 'Auth' | 'Cluster' | 'Maintenance', why: string): Handlers =>
  Object.fromEntries(methodsOf(service).map((name) => [name, refused(name, why)]));
