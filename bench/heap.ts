import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What `build` makes, and how many bytes of the JavaScript heap it keeps. */
export function withHeapBytes<T>(build: () => T): { built: T; bytes: number } {
  settle();
  const before = process.memoryUsage().heapUsed;
  const built = build();
  settle();
  return { built, bytes: Math.max(0, process.memoryUsage().heapUsed - before) };
}

/** One collection leaves what its finalizers let go of; a few leave nothing. */
function settle(): void {
  for (let n = 0; n < 4; n++) collect();
}
