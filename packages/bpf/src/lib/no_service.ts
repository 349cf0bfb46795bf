import { ETH, IPPROTO_ICMPV6 } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { ETH_HLEN, htons } from './common.ts';
import { csumOf, fold } from './csum.ts';
import { DBG_CAPTURE_DELIVERY } from './dbg.ts';
import type { Family } from './family.ts';
import { redirect } from './icmp6.ts';

const ICMP_DEST_UNREACH = 3;
const ICMP_PORT_UNREACH = 3;
const ICMPV6_DEST_UNREACH = 1;
const ICMPV6_PORT_UNREACH = 4;
const IPDEFTTL = 64;
const ICMP_HLEN = 8;
/** Of the frame, Ethernet header included, that is how Cilium counts. */
const SAMPLE4 = 64;
const SAMPLE6 = 1280 - 40 - ICMP_HLEN;

/**
 * tail_no_service_ipv4/6: turns the packet to a service without backends into an ICMP "port unreachable" from the
 * service to its client. The length of what is quoted counts the Ethernet header, so zeros follow it.
 * Source: bpf/lib/lb.h.
 */
export function answerNoService(dp: Datapath, fam: Family, skb: Skb): number {
  const m = dp.memory;
  const ip = skb.data + ETH_HLEN;
  const tos = m.u8[ip + 1]!;
  const sample = Math.min(skb.len, fam.isV6 ? SAMPLE6 : SAMPLE4);
  skb.changeTail(sample + ETH_HLEN);
  let sum = sumOfSample(dp, ip, skb.data + skb.len, sample);
  skb.growAtMac(fam.headerLength + ICMP_HLEN, ETH_HLEN);

  const icmp = ip + fam.headerLength;
  const old = icmp + ICMP_HLEN;
  m.u8.fill(0, ip, old);
  fam.copyAddress(m, ip + fam.layout.daddr, old + fam.layout.saddr);
  fam.copyAddress(m, ip + fam.layout.saddr, old + fam.layout.daddr);
  if (fam.isV6) {
    m.u8[ip] = 0x60;
    m.u16[(ip + 4) >> 1] = htons(ICMP_HLEN + sample);
    m.u8[ip + 6] = IPPROTO_ICMPV6;
    m.u8[ip + 7] = IPDEFTTL;
    m.u8[icmp] = ICMPV6_DEST_UNREACH;
    m.u8[icmp + 1] = ICMPV6_PORT_UNREACH;
    sum += csumOf(m, ip + 8, 32) + htons(ICMP_HLEN + sample) + htons(IPPROTO_ICMPV6);
  } else {
    m.u8[ip] = 0x45;
    m.u8[ip + 1] = tos;
    m.u16[(ip + 2) >> 1] = htons(20 + ICMP_HLEN + sample);
    m.u8[ip + 8] = IPDEFTTL;
    m.u8[ip + 9] = fam.icmp;
    m.u16[(ip + 10) >> 1] = ~fold(csumOf(m, ip, 20)) & 0xffff;
    m.u8[icmp] = ICMP_DEST_UNREACH;
    m.u8[icmp + 1] = ICMP_PORT_UNREACH;
  }
  m.u16[(icmp + 2) >> 1] = ~fold(sum + csumOf(m, icmp, ICMP_HLEN)) & 0xffff;
  const mac = dp.stack.mac;
  m.u8.copyWithin(mac, skb.data + ETH.dst, skb.data + ETH.dst + 6);
  m.u8.copyWithin(skb.data + ETH.dst, skb.data + ETH.src, skb.data + ETH.src + 6);
  m.u8.copyWithin(skb.data + ETH.src, mac, mac + 6);
  dp.steps?.push({ kind: 'debug-capture', subType: DBG_CAPTURE_DELIVERY, arg1: skb.ifindex });
  return redirect(skb, skb.ifindex, 0);
}

/**
 * icmp_wsum_accumulate: Cilium's sum is unrolled in blocks of 128 bytes and leaves every second block out, so that the
 * checksum of a long ICMPv6 answer is wrong. So is this one.
 */
function sumOfSample(dp: Datapath, from: number, end: number, sample: number): number {
  const { u8, u16 } = dp.memory;
  let sum = 0;
  for (let block = 0; block < 5; block++) {
    for (let i = block * 256; i < block * 256 + 128; i += 2) {
      if (i > sample) return sum;
      if (from + i + 2 > end) return from + i < end ? sum + u8[from + i]! : sum;
      sum += u16[(from + i) >> 1]!;
    }
  }
  return sum;
}
