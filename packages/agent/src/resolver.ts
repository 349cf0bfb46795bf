import type { Resolver } from '@ciliate/hubble';
import { identityName, isReservedIdentity } from '@ciliate/identity';
import type { ServiceEntry } from '@ciliate/loadbalancer';
import type { Endpoint } from './endpoint.ts';

/** Names for the addresses and identities in Hubble's flows. */
export function newResolver(byAddress: ReadonlyMap<number, Endpoint>, services: readonly ServiceEntry[]): Resolver {
  return {
    endpointOf: (address) => {
      const endpoint = byAddress.get(address);
      if (endpoint === undefined) return undefined;
      const { id, identity, namespace, name } = endpoint;
      return { id, identity, namespace, podName: name };
    },
    serviceOf: (address, port) =>
      services.find(({ frontend }) => frontend.address === address && frontend.port === port),
    identityName: (identity) => (isReservedIdentity(identity) ? identityName(identity) : undefined),
  };
}
