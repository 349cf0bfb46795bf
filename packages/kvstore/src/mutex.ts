/** Runs one task at a time, in the order they were given. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {}); // a task that failed does not fail the next one
    return result;
  }
}

/** Runs one task at a time for each key. */
export class KeyedMutex {
  readonly #turns = new Map<string, { readonly mutex: Mutex; users: number }>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(key) ?? { mutex: new Mutex(), users: 0 };
    this.#turns.set(key, turn);
    turn.users++;
    try {
      return await turn.mutex.run(task);
    } finally {
      if (--turn.users === 0) this.#turns.delete(key);
    }
  }
}
