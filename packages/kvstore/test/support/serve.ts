/** A durable store in a process of its own, to be killed: `serve.ts LISTEN DIRECTORY` prints where it listens. */
import { EmbeddedStore, KvstoreServer, NodeDisk } from '../../src/index.ts';

const [listen, directory] = process.argv.slice(2);
const store = await EmbeddedStore.open({
  disk: new NodeDisk(directory!),
  nowNs: () => process.hrtime.bigint(),
  salt: () => crypto.getRandomValues(new Uint32Array(1))[0]!,
  heldEvents: Number.POSITIVE_INFINITY,
  snapshotBytes: 3000, // so that kills meet snapshots and new segments too
});
const server = await KvstoreServer.start({ store, listen: listen! });
process.stdout.write(`${server.address}\n`);
