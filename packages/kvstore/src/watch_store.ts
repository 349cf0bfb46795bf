import { type KvstoreClient, valueText, type Watch } from './client.ts';
import { KvstoreError } from './errors.ts';

/** What a watch store tells. Calls come one after the other. */
export interface WatchStoreObserver {
  onUpdate(key: string, value: string): void;
  onDelete(key: string): void;
}

/**
 * Follows all keys with a prefix: those that are there first, then every change. After a gap in the history it lists
 * again and tells what came and went meanwhile. Source: pkg/kvstore/store/watchstore.go.
 */
export class WatchStore {
  readonly #client: KvstoreClient;
  readonly #prefix: string;
  readonly #observer: WatchStoreObserver;
  /** Keys told, with the revision that they had. */
  readonly #known = new Map<string, number>();
  #revision = 0;
  #watch: Watch | undefined;
  #following: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(client: KvstoreClient, prefix: string, observer: WatchStoreObserver) {
    this.#client = client;
    this.#prefix = prefix;
    this.#observer = observer;
  }

  /**
   * Resolves when all that is there was told. Keys are told without the prefix.
   * @param onFailure the store is not followed any more, and why
   */
  static async open(
    client: KvstoreClient,
    prefix: string,
    observer: WatchStoreObserver,
    onFailure: (error: unknown) => void,
  ): Promise<WatchStore> {
    const store = new WatchStore(client, prefix, observer);
    await store.#list();
    store.#following = store.#follow().catch((error: unknown) => {
      if (!store.#isClosed) onFailure(error);
    });
    return store;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    await this.#following;
  }

  async #list(): Promise<void> {
    const { entries, revision } = await this.#client.getPrefix(this.#prefix);
    const listed = new Set(entries.map(({ key }) => key));
    for (const key of [...this.#known.keys()]) if (!listed.has(key)) this.#delete(key);
    for (const entry of entries)
      if (this.#known.get(entry.key) !== entry.modRevision)
        this.#update(entry.key, valueText(entry), entry.modRevision);
    this.#revision = revision;
  }

  async #follow(): Promise<void> {
    while (!this.#isClosed) {
      this.#watch = this.#client.watch({ prefix: this.#prefix, fromRevision: this.#revision + 1 });
      try {
        for await (const events of this.#watch) {
          for (const { type, entry } of events) {
            if (type === 'put') this.#update(entry.key, valueText(entry), entry.modRevision);
            else this.#delete(entry.key);
            this.#revision = entry.modRevision;
          }
        }
      } catch (error) {
        if (!(error instanceof KvstoreError && error.code === 'COMPACTED')) throw error;
        await this.#list();
      }
    }
  }

  #update(key: string, value: string, revision: number): void {
    this.#known.set(key, revision);
    this.#observer.onUpdate(key.slice(this.#prefix.length), value);
  }

  #delete(key: string): void {
    if (this.#known.delete(key)) this.#observer.onDelete(key.slice(this.#prefix.length));
  }
}
