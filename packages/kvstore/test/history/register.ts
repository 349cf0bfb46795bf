import type { Model } from './linearizable.ts';

/** One key of the store: what is asked of it. */
export type KeyInput =
  | { type: 'get' }
  | { type: 'put'; value: string }
  | { type: 'delete' }
  /** Put if the value is the expected one (null: if the key does not exist), else read. */
  | { type: 'swap'; expected: string | null; value: string };

/** And what it answers: of a get the value found, of a delete whether there was something. */
export type KeyOutput =
  | { type: 'get'; value: string | null }
  | { type: 'put' }
  | { type: 'delete'; deleted: boolean }
  | { type: 'swap'; succeeded: true }
  | { type: 'swap'; succeeded: false; found: string | null };

/** A key that nobody has written yet does not exist: null. */
export const REGISTER: Model<string | null, KeyInput, KeyOutput> = {
  initial: null,
  name: (value) => value ?? '-',
  step: (value, input, output) => {
    switch (input.type) {
      case 'get':
        return output?.type === 'get' && output.value !== value ? undefined : value;
      case 'put':
        return input.value;
      case 'delete':
        return output?.type === 'delete' && output.deleted !== (value !== null) ? undefined : null;
      case 'swap': {
        const holds = value === input.expected;
        if (output?.type === 'swap' && output.succeeded !== holds) return undefined;
        if (output?.type === 'swap' && !output.succeeded && output.found !== value) return undefined;
        return holds ? input.value : value;
      }
    }
  },
};
