import type { Resolver } from '@ciliate/hubble';
import { identityName, isReservedIdentity } from '@ciliate/identity';
import type { EndpointTable } from './endpoint_table.ts';
import type { AgentIpcache } from './ipcache.ts';
import type { Services } from './services.ts';

/** Names for the addresses and identities in Hubble's flows. */
export function newResolver(endpoints: EndpointTable, services: Services, ipcache: AgentIpcache): Resolver {
  return {
    endpointOf: (address) => {
      const endpoint = endpoints.ofAddress(address);
      if (endpoint === undefined) {
        const told = ipcache.toldOf(address);
        return told && { id: 0, identity: told.identity, namespace: told.namespace, podName: told.podName };
      }
      const { id, identity, namespace, name } = endpoint;
      return { id, identity, namespace, podName: name };
    },
    serviceOf: (address, port) => {
      const found = services.entries.find(({ frontend }) => frontend.address === address && frontend.port === port);
      return found && { namespace: found.namespace, name: found.name };
    },
    identityName: (identity) => (isReservedIdentity(identity) ? identityName(identity) : undefined),
  };
}
