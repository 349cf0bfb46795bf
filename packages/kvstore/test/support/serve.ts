/**
 * A durable store in a process of its own, to be killed: `serve.ts LISTEN DIRECTORY [POINT COUNT]` prints where it
 * listens, and dies when it comes to the point for that time.
 */
import { EmbeddedStore, KvstoreServer } from '../../src/index.ts';
import { CrashDisk, type CrashPoint } from './crash_disk.ts';

const [listen, directory, point, count] = process.argv.slice(2);
const store = await EmbeddedStore.open({
  disk: new CrashDisk(directory!, point as CrashPoint | undefined, Number(count)),
  nowNs: () => process.hrtime.bigint(),
  salt: () => crypto.getRandomValues(new Uint32Array(1))[0]!,
  heldEvents: Number.POSITIVE_INFINITY,
  snapshotBytes: 3000, // so that kills meet snapshots and new segments too
});
const server = await KvstoreServer.start({ store, listen: listen! });
process.stdout.write(`${server.address}\n`);
