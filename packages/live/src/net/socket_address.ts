import type { IpAddress } from '@ciliate/packet';

export interface SocketAddress {
  readonly address: IpAddress;
  readonly port: number;
}

/** Text that differs for any two pairs of ends. */
export const endsKey = (local: SocketAddress, remote: SocketAddress): string =>
  `${local.address} ${local.port} ${remote.address} ${remote.port}`;
