/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs at tc do to packets. */
#include "common.h"

#define ETH 14

SEC("tc") int context(struct __sk_buff *skb)
{
	NOTE(skb, 0, skb->len);
	NOTE(skb, 1, skb->protocol);
	NOTE(skb, 2, skb->pkt_type);
	NOTE(skb, 3, skb->ifindex);
	NOTE(skb, 4, skb->ingress_ifindex);
	NOTE(skb, 5, skb->data_end - skb->data);
	NOTE(skb, 6, skb->data - skb->data_meta);
	skb->cb[2] = 77;
	skb->mark = 99;
	NOTE(skb, 7, skb->cb[2] + skb->mark);
	NOTE(skb, 8, bpf_skb_change_type(skb, 1));
	NOTE(skb, 9, skb->pkt_type);
	NOTE(skb, 10, bpf_skb_change_type(skb, 9));
	return skb->mark;
}

SEC("tc") int bytes(struct __sk_buff *skb)
{
	__u32 word = 0x11223344;

	NOTE(skb, 0, bpf_skb_store_bytes(skb, 20, &word, 4, 0));
	NOTE(skb, 1, bpf_skb_store_bytes(skb, skb->len - 3, &word, 4, 0));
	NOTE(skb, 2, bpf_skb_store_bytes(skb, 20, &word, 4, 1 << 10));
	NOTE(skb, 3, bpf_skb_load_bytes(skb, 22, &word, 4));
	NOTE(skb, 4, word);
	NOTE(skb, 5, bpf_skb_load_bytes(skb, skb->len - 3, &word, 4));
	NOTE(skb, 6, word);
	NOTE(skb, 7, bpf_skb_pull_data(skb, skb->len));
	NOTE(skb, 8, bpf_skb_pull_data(skb, skb->len + 1));
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (data + 24 <= end)
		*(__u16 *)(data + 20) += 1;
	return TC_ACT_OK;
}

SEC("tc") int length(struct __sk_buff *skb)
{
	NOTE(skb, 0, bpf_skb_change_tail(skb, skb->len + 6, 0));
	NOTE(skb, 1, bpf_skb_change_tail(skb, 13, 0));
	NOTE(skb, 2, bpf_skb_change_tail(skb, skb->len - 20, 0));
	NOTE(skb, 3, bpf_skb_change_tail(skb, skb->len + 8, 0));
	NOTE(skb, 4, bpf_skb_change_tail(skb, 1 << 20, 0));
	NOTE(skb, 5, bpf_skb_change_head(skb, 14, 0));
	NOTE(skb, 6, skb->len);
	NOTE(skb, 7, bpf_skb_change_tail(skb, 20, 0));
	NOTE(skb, 8, bpf_skb_change_head(skb, 4, 1));
	return TC_ACT_OK;
}

SEC("tc") int room(struct __sk_buff *skb)
{
	NOTE(skb, 0, bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_MAC, 0));
	NOTE(skb, 1, bpf_skb_adjust_room(skb, 4, BPF_ADJ_ROOM_NET, 0));
	NOTE(skb, 2, skb->len);
	NOTE(skb, 3, bpf_skb_adjust_room(skb, -12, BPF_ADJ_ROOM_MAC, 0));
	NOTE(skb, 4, bpf_skb_adjust_room(skb, -4000, BPF_ADJ_ROOM_MAC, 0));
	NOTE(skb, 5, bpf_skb_adjust_room(skb, 5000, BPF_ADJ_ROOM_MAC, 0));
	NOTE(skb, 6, bpf_skb_adjust_room(skb, 8, 7, 0));
	NOTE(skb, 7, bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_MAC, 1ull << 40));
	NOTE(skb, 8, bpf_skb_adjust_room(skb, 20, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6));
	NOTE(skb, 9, skb->protocol);
	NOTE(skb, 10, bpf_skb_adjust_room(skb, 20, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4));
	return TC_ACT_OK;
}

SEC("tc") int protocol(struct __sk_buff *skb)
{
	NOTE(skb, 0, bpf_skb_change_proto(skb, 0xdd86, 0));
	NOTE(skb, 1, skb->len);
	NOTE(skb, 2, skb->protocol);
	NOTE(skb, 3, bpf_skb_change_proto(skb, 0xdd86, 0));
	NOTE(skb, 4, bpf_skb_change_proto(skb, 0x0008, 0));
	NOTE(skb, 5, skb->protocol);
	NOTE(skb, 6, bpf_skb_change_proto(skb, 0xdd86, 1));
	return TC_ACT_OK;
}

SEC("tc") int checksums(struct __sk_buff *skb)
{
	__u32 from[2] = { 0x01020304, 0xffff0000 }, to[2] = { 0x0a0b0c0d, 0x0000ffff };
	__s64 sum = bpf_csum_diff(from, 8, to, 8, 0);

	NOTE(skb, 0, sum);
	NOTE(skb, 1, bpf_csum_diff(0, 0, to, 8, 0x12345678));
	NOTE(skb, 2, bpf_csum_diff(from, 4, 0, 0, 0x12345678));
	NOTE(skb, 3, bpf_l3_csum_replace(skb, ETH + 10, 0, sum, 0));
	NOTE(skb, 4, bpf_l3_csum_replace(skb, ETH + 10, 0x1234, 0xabcd, 2));
	NOTE(skb, 5, bpf_l3_csum_replace(skb, ETH + 10, 0x01020304, 0x0a0b0c0d, 4));
	NOTE(skb, 6, bpf_l3_csum_replace(skb, ETH + 11, 1, 2, 4));
	NOTE(skb, 7, bpf_l3_csum_replace(skb, ETH + 10, 1, 2, 3));
	NOTE(skb, 8, bpf_l4_csum_replace(skb, 50, 0x01020304, 0x0a0b0c0d, BPF_F_PSEUDO_HDR | 4));
	NOTE(skb, 9, bpf_l4_csum_replace(skb, 50, 0x1234, 0xabcd, 2));
	NOTE(skb, 10, bpf_l4_csum_replace(skb, 52, 1, 2, BPF_F_MARK_MANGLED_0 | 4));
	NOTE(skb, 11, bpf_l4_csum_replace(skb, 54, 0, sum, 0));
	NOTE(skb, 12, bpf_l4_csum_replace(skb, 9000, 0, sum, 0));
	return TC_ACT_OK;
}

SEC("tc") int tunnel(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = { .tunnel_id = 5, .remote_ipv4 = 0x01020304, .local_ipv4 = 7, .tunnel_ttl = 9 };
	__u8 option[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	NOTE(skb, 0, bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0));
	NOTE(skb, 1, key.tunnel_id);
	key.tunnel_id = 5;
	key.remote_ipv4 = 0x01020304;
	key.local_ipv4 = 7;
	NOTE(skb, 2, bpf_skb_set_tunnel_opt(skb, option, 8));
	NOTE(skb, 3, bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0));
	NOTE(skb, 4, bpf_skb_set_tunnel_opt(skb, option, 8));
	NOTE(skb, 5, bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0));
	NOTE(skb, 6, key.tunnel_id);
	NOTE(skb, 7, key.remote_ipv4);
	NOTE(skb, 8, bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6));
	NOTE(skb, 9, bpf_skb_get_tunnel_opt(skb, option, 8));
	NOTE(skb, 10, *(__u32 *)option);
	NOTE(skb, 11, bpf_skb_set_tunnel_key(skb, &key, 13, 0));
	return TC_ACT_OK;
}

SEC("tc") int redirects(struct __sk_buff *skb)
{
	NOTE(skb, 0, bpf_redirect(5, 0));
	NOTE(skb, 1, bpf_redirect(5, 2));
	NOTE(skb, 2, bpf_redirect_neigh(5, 0, 0, 0));
	NOTE(skb, 3, bpf_redirect_neigh(5, 0, 0, 1));
	NOTE(skb, 4, bpf_clone_redirect(skb, 4444, 0));
	return TC_ACT_OK;
}
