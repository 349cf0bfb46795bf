/** Time that passes only from one event to the next. With one seed everything happens in the same order. */
export class Scheduler {
  readonly random: () => number;
  #now = 0;
  #count = 0;
  readonly #events: { at: number; order: number; run: () => void }[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  /** Milliseconds. */
  now = (): number => this.#now;

  after(ms: number, run: () => void): void {
    const event = { at: this.#now + ms, order: this.#count++, run };
    let place = this.#events.length;
    while (place > 0 && this.#events[place - 1]!.at > event.at) place--;
    this.#events.splice(place, 0, event);
  }

  sleep = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));

  /** A whole number from 0 on, below `count`. */
  pick(count: number): number {
    return Math.floor(this.random() * count);
  }

  /** Mostly short, now and then long. */
  delay(shortMs: number, longMs: number): number {
    return this.random() < 0.05 ? this.random() * longMs : this.random() * shortMs;
  }

  /** One event after the other until `done` is. */
  async runUntil<T>(done: Promise<T>): Promise<T> {
    let isDone = false;
    const watched = done.finally(() => {
      isDone = true;
    });
    watched.catch(() => {});
    for (;;) {
      // What an event set going comes to its next wait. The store's own turns of the event loop are taken in order, too.
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (isDone) return watched;
      const event = this.#events.shift();
      if (event === undefined) continue;
      this.#now = event.at;
      event.run();
    }
  }
}
