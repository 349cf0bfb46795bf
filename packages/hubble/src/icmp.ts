/** Names of ICMP types, and of their codes where the type has any, as gopacket prints them. */
type Names = Readonly<Record<number, [type: string, codes?: readonly string[]]>>;

const ICMPV4: Names = {
  0: ['EchoReply'],
  3: [
    'DestinationUnreachable',
    [
      'Net',
      'Host',
      'Protocol',
      'Port',
      'FragmentationNeeded',
      'SourceRoutingFailed',
      'NetUnknown',
      'HostUnknown',
      'SourceIsolated',
      'NetAdminProhibited',
      'HostAdminProhibited',
      'NetTOS',
      'HostTOS',
      'CommAdminProhibited',
      'HostPrecedence',
      'PrecedenceCutoff',
    ],
  ],
  4: ['SourceQuench'],
  5: ['Redirect', ['Net', 'Host', 'TOS+Net', 'TOS+Host']],
  8: ['EchoRequest'],
  9: ['RouterAdvertisement'],
  10: ['RouterSolicitation'],
  11: ['TimeExceeded', ['TTLExceeded', 'FragmentReassemblyTimeExceeded']],
  12: ['ParameterProblem', ['PointerIndicatesError', 'MissingOption', 'BadLength']],
  13: ['TimestampRequest'],
  14: ['TimestampReply'],
  15: ['InfoRequest'],
  16: ['InfoReply'],
  17: ['AddressMaskRequest'],
  18: ['AddressMaskReply'],
};

const ICMPV6: Names = {
  1: [
    'DestinationUnreachable',
    [
      'NoRouteToDst',
      'AdminProhibited',
      'BeyondScopeOfSrc',
      'AddressUnreachable',
      'PortUnreachable',
      'SrcAddressFailedPolicy',
      'RejectRouteToDst',
    ],
  ],
  2: ['PacketTooBig'],
  3: ['TimeExceeded', ['HopLimitExceeded', 'FragmentReassemblyTimeExceeded']],
  4: ['ParameterProblem', ['ErroneousHeaderField', 'UnrecognizedNextHeader', 'UnrecognizedIPv6Option']],
  128: ['EchoRequest'],
  129: ['EchoReply'],
  133: ['RouterSolicitation'],
  134: ['RouterAdvertisement'],
  135: ['NeighborSolicitation'],
  136: ['NeighborAdvertisement'],
  137: ['Redirect'],
};

/** `EchoRequest`, `DestinationUnreachable(Port)`, `EchoRequest(Code: 3)`, `99(1)`. */
export function icmpName(type: number, code: number, protocol: 'ICMPv4' | 'ICMPv6'): string {
  const known = (protocol === 'ICMPv4' ? ICMPV4 : ICMPV6)[type];
  if (known === undefined) return `${type}(${code})`;
  const [name, codes] = known;
  if (codes === undefined && code === 0) return name;
  return `${name}(${codes?.[code] ?? `Code: ${code}`})`;
}
