import { expect } from 'vitest';
import { DecodeError, decodeObjects } from '../src/index.ts';

/** A sentence, a text with that in it, and the whole message: one line per problem. */
export type Row = [sentence: string, text: string, ...message: string[]];

export function messageOf(text: string): string {
  try {
    return `accepted: ${JSON.stringify(decodeObjects(text, 'x.yaml'))}`;
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

/** What each row of a table is tested by. */
export const check = (_sentence: string, text: string, ...message: string[]): void =>
  expect(messageOf(text)).toBe(message.join('\n'));
