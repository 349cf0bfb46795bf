import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteQueue } from '../src/http1/byte_queue.ts';
import { KnownWords } from '../src/http1/known_words.ts';
import { bytes, seed, text } from './support.ts';

console.log(`seed ${seed}`);

const few = fc.string({ unit: fc.constantFrom('\r', '\n', 'a', '\t'), maxLength: 12 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), piece: few }),
  fc.record({ kind: fc.constant('look' as const), max: fc.nat({ max: 30 }) }),
  fc.record({ kind: fc.constant('take' as const), count: fc.nat({ max: 5 }) }),
);

test('a queue finds the first empty line as a search of all that waits does, however it came', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const queue = new ByteQueue();
      let waiting = '';
      for (const one of steps) {
        if (one.kind === 'push') {
          queue.push(bytes(one.piece));
          waiting += one.piece;
        } else if (one.kind === 'take') {
          expect(text(queue.take(one.count))).toBe(waiting.slice(0, one.count));
          waiting = waiting.slice(one.count);
        } else {
          const end = waiting.indexOf('\r\n\r\n') + 4;
          expect(queue.blockLength(one.max)).toBe(end === 3 || end > one.max ? undefined : end);
        }
      }
    }),
    { seed, numRuns: 2000 },
  );
});

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'A', 'B', '-', 'M'), minLength: 1, maxLength: 4 });

test('known words are found in any case, or as they are, and nothing else is', () => {
  fc.assert(
    fc.property(fc.uniqueArray(letters), letters, fc.boolean(), (list, asked, anyCase) => {
      const words = anyCase ? [...new Set(list.map((word) => word.toLowerCase()))] : list;
      const wanted = anyCase ? asked.toLowerCase() : asked;
      const found = new KnownWords(words, anyCase).find(bytes(`<${asked}>`), 1, 1 + asked.length);
      expect(found).toBe(words.includes(wanted) ? wanted : undefined);
    }),
    { seed, numRuns: 2000 },
  );
});
