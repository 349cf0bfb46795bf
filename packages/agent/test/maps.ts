import { IpcacheMap } from '@ciliate/maps';
import { type FlowKey, formatKey } from '@ciliate/policy';
import type { Agent } from '../src/index.ts';
import type { AddressFlow, Reach } from './scratch.ts';

const WORLD = 2;

/** What the maps of an agent say about packets at this moment. A pod that has no endpoint lets nothing through. */
export function asInMaps(agent: Agent): (flow: AddressFlow) => Reach {
  const ipcache = IpcacheMap.open(agent.memory);
  const maps = new Map<string, ReadonlyMap<string, Reach>>();
  const entriesOf = (pod: string): ReadonlyMap<string, Reach> => {
    const known = maps.get(pod);
    if (known !== undefined) return known;
    const entries = agent.endpointOfPod(pod)?.policyMap.entries() ?? [];
    const found = new Map(
      entries.map((entry) => [formatKey(entry), entry.deny ? 0 : entry.proxyPort > 0 ? 1 : 2] as const),
    );
    maps.set(pod, found);
    return found;
  };
  return ({ pod, peer, ...flow }) => {
    const entries = entriesOf(pod);
    const identity = ipcache.lookup(peer)?.identity ?? WORLD;
    const [own, any] = [mostSpecific(entries, { ...flow, identity }), mostSpecific(entries, { ...flow, identity: 0 })];
    // Two entries: a deny wins, then the proxy (there is one kind of redirect here).
    return Math.min(own ?? any ?? 0, any ?? own ?? 0) as Reach;
  };
}

/** The longest prefix of ports, then every protocol, as the trie finds them. */
function mostSpecific(entries: ReadonlyMap<string, Reach>, flow: FlowKey): Reach | undefined {
  const { egress, identity, protocol, dport } = flow;
  for (let portPrefixLen = 16; portPrefixLen >= 0; portPrefixLen--) {
    const port = portPrefixLen === 0 ? 0 : dport & (0xffff << (16 - portPrefixLen));
    const found = entries.get(formatKey({ egress, identity, protocol, dport: port, portPrefixLen }));
    if (found !== undefined) return found;
  }
  return entries.get(formatKey({ egress, identity, protocol: 0, dport: 0, portPrefixLen: 0 }));
}
