/**
 * Numbers that several programs share. Source: bpf/lib/common.h, bpf/include/linux/pkt_cls.h.
 *
 * In this package a `be32` or `be16` is what a program loads from a packet or map on a little-endian machine: network
 * bytes in a host word, only compared and copied, never calculated with. `ntohs`/`ntohl` turn it into a number.
 */
export const CTX_ACT_OK = 0;
export const CTX_ACT_DROP = 2;
export const CTX_ACT_REDIRECT = 7;

export const ETH_HLEN = 14;

/** Directions of conntrack and of policy lookups. */
export const CT_EGRESS = 0;
export const CT_INGRESS = 1;
export const CT_SERVICE = 2;

/** Answers of a conntrack lookup; also the reason in trace notifications. */
export const CT_NEW = 0;
export const CT_ESTABLISHED = 1;
export const CT_REPLY = 2;
export const CT_RELATED = 3;

/** Reserved identities. Source: bpf/node_config.h. */
export const HOST_ID = 1;
export const WORLD_ID = 2;
export const UNMANAGED_ID = 3;
export const REMOTE_NODE_ID = 6;
export const KUBE_APISERVER_NODE_ID = 7;
export const WORLD_IPV4_ID = 9;
export const WORLD_IPV6_ID = 10;
const SCOPE_MASK = 0xff000000;
const SCOPE_REMOTE_NODE = 0x02000000;
export const identityIsRemoteNode = (identity: number): boolean =>
  identity === REMOTE_NODE_ID ||
  identity === KUBE_APISERVER_NODE_ID ||
  (identity & SCOPE_MASK) >>> 0 === SCOPE_REMOTE_NODE;
/** Does the identity say nothing exact, so that the ipcache may know better? @param isDual both families are enabled */
export const identityIsReserved = (identity: number, isDual: boolean): boolean =>
  identity < UNMANAGED_ID ||
  identityIsRemoteNode(identity) ||
  (isDual && (identity === WORLD_IPV4_ID || identity === WORLD_IPV6_ID));

/** What the mark of a packet from the host's stack says about it; the identity is spread over the other bits. */
export const MARK_MAGIC_HOST_MASK = 0x0f00;
export const MARK_MAGIC_TO_PROXY = 0x0200;
export const MARK_MAGIC_SNAT_DONE = 0x0300;
export const MARK_MAGIC_OVERLAY = 0x0400;
/** The mark carries an endpoint's id: the L7 load balancer speaks for it. */
export const MARK_MAGIC_PROXY_EGRESS_EPID = 0x0900;
export const MARK_MAGIC_PROXY_INGRESS = 0x0a00;
export const MARK_MAGIC_PROXY_EGRESS = 0x0b00;
export const MARK_MAGIC_HOST = 0x0c00;
/** The kernel has taken the packet out of IPsec and brings it again. */
export const MARK_MAGIC_DECRYPT = 0x0d00;
export const MARK_MAGIC_IDENTITY = 0x0f00;

export const getIdentity = (mark: number): number => (((mark & 0xff) << 16) | (mark >>> 16)) >>> 0;
export const identityMark = (identity: number, magic: number): number =>
  (((identity & 0xffff) << 16) | ((identity >>> 16) & 0xff) | magic) >>> 0;

/** skb->tc_index: the packet left the ingress proxy and must not be sent there again. */
export const TC_INDEX_F_FROM_INGRESS_PROXY = 1;
/** The packet left the egress proxy. */
export const TC_INDEX_F_FROM_EGRESS_PROXY = 2;
export const TC_INDEX_F_SKIP_NODEPORT = 4;
/** The host's policy was asked before the packet went back into the program. */
export const TC_INDEX_F_SKIP_HOST_FIREWALL = 16;

/** Which parts of the key the chosen policy entry names; in policy-verdict notifications. */
export const POLICY_MATCH_NONE = 0;
export const POLICY_MATCH_L3_ONLY = 1;
export const POLICY_MATCH_L3_L4 = 2;
export const POLICY_MATCH_L4_ONLY = 3;
export const POLICY_MATCH_ALL = 4;
export const POLICY_MATCH_L3_PROTO = 5;
export const POLICY_MATCH_PROTO_ONLY = 6;

export const ntohs = (be16: number): number => ((be16 & 0xff) << 8) | (be16 >>> 8);
export const ntohl = (be32: number): number =>
  ((be32 << 24) | ((be32 & 0xff00) << 8) | ((be32 >>> 8) & 0xff00) | (be32 >>> 24)) >>> 0;
/** The same exchange of bytes, named for the other direction. */
export const htons = ntohs;
export const htonl = ntohl;
