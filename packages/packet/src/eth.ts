import { be16, be32, setBe16, setBe32 } from './bytes.ts';

/** `struct ethhdr`, 14 bytes; numbers are byte offsets. Source: linux/if_ether.h. */
export const ETH = { size: 14, dst: 0, src: 6, type: 12 } as const;
export const ETH_ADDRESS_LENGTH = 6;

// EtherTypes, host order. Source: linux/if_ether.h.
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;

export const ethType = (u8: Uint8Array, at: number): number => be16(u8, at + ETH.type);
export const setEthType = (u8: Uint8Array, at: number, type: number): void => setBe16(u8, at + ETH.type, type);

/** A MAC address as a number below 2^48, so that reading one allocates nothing (02:00:00:00:00:01 = 0x020000000001). */
export const ethSrc = (u8: Uint8Array, at: number): number => mac(u8, at + ETH.src);
export const ethDst = (u8: Uint8Array, at: number): number => mac(u8, at + ETH.dst);
export const setEthSrc = (u8: Uint8Array, at: number, address: number): void => setMac(u8, at + ETH.src, address);
export const setEthDst = (u8: Uint8Array, at: number, address: number): void => setMac(u8, at + ETH.dst, address);

const mac = (u8: Uint8Array, at: number): number => be16(u8, at) * 2 ** 32 + be32(u8, at + 2);

function setMac(u8: Uint8Array, at: number, address: number): void {
  setBe16(u8, at, Math.floor(address / 2 ** 32));
  setBe32(u8, at + 2, address % 2 ** 32);
}
