/** IANA numbers of the protocols that rules name; ANY is 0, every protocol. */
export const PROTOCOL_NUMBERS = { ANY: 0, ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;

/** Of a filter; ANY only where a rule names no ports: everything, ICMP included. */
export type FilterProtocol = keyof typeof PROTOCOL_NUMBERS;
