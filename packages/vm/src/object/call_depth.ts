import { badInput } from '../errors.ts';
import type { BpfObject } from './object.ts';

/** Frames, as in the kernel. */
const MAX_FRAMES = 8;

/**
 * Refuses functions that call themselves, or more than 8 frames deep; a callback counts as called where its address is
 * taken. @throws VmError BAD_INPUT
 */
export function checkCallDepth(object: BpfObject): void {
  const depths = new Map<string, number>();
  const path: string[] = [];
  const depthOf = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    if (path.includes(name))
      throw badInput(`${object.name}: ${[...path.slice(path.indexOf(name)), name].join(' calls ')}`);
    path.push(name);
    let depth = 1;
    for (const reference of object.functions.get(name)?.references.values() ?? []) {
      if (reference.kind === 'function') depth = Math.max(depth, 1 + depthOf(reference.name));
      if (depth > MAX_FRAMES)
        throw badInput(`${object.name}: ${path[0]}: calls nest more than ${MAX_FRAMES} frames deep`);
    }
    path.pop();
    depths.set(name, depth);
    return depth;
  };
  for (const name of object.functions.keys()) depthOf(name);
}
