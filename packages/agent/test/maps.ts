import { IpcacheMap, PolicyMap } from '@ciliate/maps';
import { vi } from 'vitest';
import type { Agent } from '../src/index.ts';
import type { AddressFlow, Reach } from './scratch.ts';

const WORLD = 2;

/** Identity → ports in one number → what the entry lets through. */
type Entries = ReadonlyMap<number, ReadonlyMap<number, Reach>>;

/** What the maps of an agent say about packets at this moment. A pod that has no endpoint lets nothing through. */
export function asInMaps(agent: Agent): (flow: AddressFlow) => Reach {
  const ipcache = IpcacheMap.open(agent.memory);
  const maps = new Map<string, Entries>();
  const entriesOf = (pod: string): Entries => {
    const known = maps.get(pod);
    if (known !== undefined) return known;
    const found = new Map<number, Map<number, Reach>>();
    for (const entry of agent.endpointOfPod(pod)?.policyMap.entries() ?? []) {
      const ports = found.get(entry.identity) ?? new Map<number, Reach>();
      ports.set(portsOf(entry), entry.deny ? 0 : entry.proxyPort > 0 ? 1 : 2);
      found.set(entry.identity, ports);
    }
    maps.set(pod, found);
    return found;
  };
  const identities = new Map<number, number>();
  const identityOf = (peer: number): number => {
    const known = identities.get(peer) ?? ipcache.lookup(peer)?.identity ?? WORLD;
    identities.set(peer, known);
    return known;
  };
  return ({ pod, peer, ...flow }) => {
    const entries = entriesOf(pod);
    const own = mostSpecific(entries.get(identityOf(peer)), flow);
    const any = mostSpecific(entries.get(0), flow);
    // Two entries: a deny wins, then the proxy (there is one kind of redirect here).
    return Math.min(own ?? any ?? 0, any ?? own ?? 0) as Reach;
  };
}

type Ports = Omit<AddressFlow, 'pod' | 'peer'> & { portPrefixLen: number };
const portsOf = ({ egress, protocol, dport, portPrefixLen }: Ports): number =>
  ((Number(egress) * 256 + protocol) * 65536 + dport) * 32 + portPrefixLen;

/** The longest prefix of ports, then every protocol, as the trie finds them. */
function mostSpecific(
  entries: ReadonlyMap<number, Reach> | undefined,
  flow: Omit<AddressFlow, 'pod' | 'peer'>,
): Reach | undefined {
  if (entries === undefined) return undefined;
  for (let portPrefixLen = 16; portPrefixLen >= 0; portPrefixLen--) {
    const dport = portPrefixLen === 0 ? 0 : flow.dport & (0xffff << (16 - portPrefixLen));
    const found = entries.get(portsOf({ ...flow, dport, portPrefixLen }));
    if (found !== undefined) return found;
  }
  return entries.get(portsOf({ ...flow, protocol: 0, dport: 0, portPrefixLen: 0 }));
}

/** Until `vi.restoreAllMocks` calls back after every write to a policy map, with its endpoint's id, and to the ipcache, without one. */
export function onWrite(callback: (endpointId?: number) => void): void {
  const hook = (owner: object, name: string): void => {
    const target = owner as Record<string, (...args: unknown[]) => void>;
    const write = target[name]!;
    vi.spyOn(target, name).mockImplementation(function (this: { endpointId?: number }, ...args) {
      write.apply(this, args);
      callback(this.endpointId);
    });
  };
  for (const name of ['update', 'delete']) hook(PolicyMap.prototype, name);
  for (const name of ['upsert', 'delete']) hook(IpcacheMap.prototype, name);
}
