/** IPv4, host order. */
export interface SocketAddress {
  readonly address: number;
  readonly port: number;
}
