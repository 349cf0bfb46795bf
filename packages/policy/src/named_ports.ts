import { PROTOCOL_NUMBERS } from './protocols.ts';

/** A container port with a name. */
export interface NamedPort {
  /** Case does not count. */
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  /** 1..65535. */
  readonly port: number;
}

/**
 * What names mean on one pod. A name counts once: the last one given stays, whatever its protocol.
 * Source: pkg/types/portmap.go, NamedPortMap.
 */
export function podPort(ports: readonly NamedPort[], name: string, protocol: number): number | undefined {
  const found = ports.findLast((one) => one.name.toLowerCase() === name);
  return found !== undefined && PROTOCOL_NUMBERS[found.protocol] === protocol ? found.port : undefined;
}

/** What names mean on all pods together, in every namespace. Source: pkg/types/portmap.go, namedPortMultiMap. */
export class NamedPorts {
  /** Name → protocol and port in one number → how many pods have it. */
  readonly #byName = new Map<string, Map<number, number>>();

  /** @param pods the named ports of each pod */
  static of(pods: Iterable<readonly NamedPort[]>): NamedPorts {
    const all = new NamedPorts();
    for (const ports of pods) all.add(ports);
    return all;
  }

  /** A pod came. @returns whether a name means something else now, so that policies with named ports are out of date */
  add(ports: readonly NamedPort[]): boolean {
    return this.#count(ports, 1);
  }

  /** A pod went; `ports` as it was added. */
  remove(ports: readonly NamedPort[]): boolean {
    return this.#count(ports, -1);
  }

  /** @returns undefined if nobody has such a port, or if the pods do not agree on its number */
  get(name: string, protocol: number): number | undefined {
    const numbers = new Set<number>();
    for (const value of this.#byName.get(name)?.keys() ?? [])
      if (value >>> 16 === protocol) numbers.add(value & 0xffff);
    return numbers.size === 1 ? [...numbers][0] : undefined;
  }

  #count(ports: readonly NamedPort[], by: 1 | -1): boolean {
    let changed = false;
    const byName = new Map(ports.map((one) => [one.name.toLowerCase(), one]));
    for (const [name, { protocol, port }] of byName) {
      const values = this.#byName.get(name) ?? new Map<number, number>();
      this.#byName.set(name, values);
      const value = (PROTOCOL_NUMBERS[protocol] << 16) | port;
      const count = (values.get(value) ?? 0) + by;
      if (count > 0) values.set(value, count);
      else values.delete(value);
      if (count === (by > 0 ? 1 : 0)) changed = true;
    }
    return changed;
  }
}
