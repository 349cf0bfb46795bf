/** The store as `ciliate kvstore serve` has it, in a process of its own: prints where it listens. */
import { EmbeddedStore, KvstoreServer } from '@ciliate/kvstore';

const store = new EmbeddedStore({ nowNs: () => process.hrtime.bigint(), heldEvents: Number.POSITIVE_INFINITY });
const server = await KvstoreServer.start({ store, listen: '127.0.0.1:0' });
process.stdout.write(`${server.address}\n`);
