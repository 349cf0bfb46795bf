import { MapError } from './errors.ts';
import type { MapSpec } from './map.ts';

/** @throws MapError EINVAL if the map has no such worker */
export function checkCpu(spec: MapSpec, cpu: number): void {
  if (Number.isInteger(cpu) && cpu >= 0 && cpu < (spec.cpus ?? 1)) return;
  throw new MapError('EINVAL', 'a per-CPU map has no such worker', {
    name: spec.name ?? '',
    cpu,
    cpus: spec.cpus ?? 1,
  });
}
