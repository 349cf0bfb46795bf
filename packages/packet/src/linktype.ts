/** The one link type read here. Source: the tcpdump project's registry of LINKTYPE_ values, and so all names below. */
export const LINKTYPE_ETHERNET = 1;

const NAMES: Readonly<Record<number, string>> = {
  0: 'NULL (BSD loopback)',
  9: 'PPP',
  101: 'RAW (IP without a link layer)',
  105: 'IEEE802_11 (wireless)',
  108: 'LOOP (OpenBSD loopback)',
  113: 'LINUX_SLL (tcpdump -i any)',
  127: 'IEEE802_11_RADIOTAP (wireless)',
  189: 'USB_LINUX',
  228: 'IPV4',
  229: 'IPV6',
  239: 'NFLOG',
  276: 'LINUX_SLL2 (tcpdump -i any)',
};

/** @returns why packets of this link type are refused, or undefined for Ethernet. */
export function refusedLinkType(linkType: number): string | undefined {
  if (linkType === LINKTYPE_ETHERNET) return undefined;
  return `link type ${linkType}, ${NAMES[linkType] ?? 'unknown'}: only Ethernet (1) can be read`;
}
