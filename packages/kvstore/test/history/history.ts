import type { Operation } from './linearizable.ts';
import type { KeyInput, KeyOutput } from './register.ts';

/** What one client asked of one key, and was answered. Moments count up over all clients. */
export interface Call extends Operation<KeyInput, KeyOutput> {
  key: string;
  /** The store's revision, as the answer says; undefined: there was no answer. */
  revision?: number;
  /** Of a read that found the key. */
  modRevision?: number;
}

export interface Told {
  revision: number;
  type: 'put' | 'delete';
  key: string;
  /** Empty for a delete. */
  value: string;
}

/** What a watch of all keys told, batch by batch, though its server died, it was closed and another took over. */
export interface WatchStory {
  fromRevision: number;
  batches: Told[][];
}

/** A key that is there as long as its lease is. Times are milliseconds of one clock. */
export interface LeaseStory {
  key: string;
  ttlMs: number;
  /** When the last renewal that was answered had been sent: the lease stands for `ttlMs` from then on at least. */
  renewedAt: number;
  /** When the key was told to be deleted, as soon as it was. */
  endedAt?: number;
  isRevoked: boolean;
}

export interface History {
  calls: Call[];
  watches: WatchStory[];
  leases: LeaseStory[];
  /** What is there at the end, when all leases that nobody kept alive have had their time. */
  last: { revision: number; pairs: Map<string, string> };
  /** Errors that no client should see. */
  surprises: string[];
}

/** Takes down what clients do. */
export class Recorder {
  readonly calls: Call[] = [];
  readonly surprises: string[] = [];
  #moment = 0;

  /**
   * @param run answers with the outputs of the keys, in their order
   * @param isUnknown whether an error leaves open what was done
   * @returns whether it was answered
   */
  async record(
    inputs: readonly { key: string; input: KeyInput }[],
    run: () => Promise<{ revision: number; outputs: { output: KeyOutput; modRevision?: number }[] }>,
    isUnknown: (error: unknown) => boolean,
  ): Promise<boolean> {
    const called = inputs.map(() => this.#moment++);
    let answer: Awaited<ReturnType<typeof run>> | undefined;
    try {
      answer = await run();
    } catch (error) {
      if (!isUnknown(error)) this.surprises.push(String(error));
    }
    for (const [i, { key, input }] of inputs.entries()) {
      const moments = { called: called[i]!, returned: this.#moment++ };
      if (answer !== undefined)
        this.calls.push({ key, input, ...moments, revision: answer.revision, ...answer.outputs[i]! });
      else if (input.type !== 'get') this.calls.push({ key, input, ...moments, output: undefined });
    }
    return answer !== undefined;
  }
}
