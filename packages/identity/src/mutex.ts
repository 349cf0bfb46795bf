/** Runs one task at a time, in the order they were given. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {}); // a task that failed does not fail the next one
    return result;
  }
}
