import type { Resolver } from '@ciliate/hubble';
import { identityName, isReservedIdentity } from '@ciliate/identity';
import type { EndpointTable } from './endpoint_table.ts';
import type { Services } from './services.ts';

/** Names for the addresses and identities in Hubble's flows. */
export function newResolver(endpoints: EndpointTable, services: Services): Resolver {
  return {
    endpointOf: (address) => {
      const endpoint = endpoints.ofAddress(address);
      if (endpoint === undefined) return undefined;
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
