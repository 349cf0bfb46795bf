/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs with names, maps and variables as Cilium's datapath has them, that do next to nothing: for what plays packets through
 * compiled objects. Each asks the node for one thing and shows in the packet's mark what it was told.
 */
#include "common.h"
#include <bpf/bpf_endian.h>

#define CONFIG(type, name) volatile const type __config_##name SEC(".rodata.config")
CONFIG(__u32, security_label) = 0;
CONFIG(__u32, interface_ifindex) = 0;
CONFIG(__u16, endpoint_id) = 0;
struct mac { __u8 bytes[6]; };
CONFIG(struct mac, interface_mac) = {};

struct metric_key { __u8 reason, direction; __u16 line; __u8 file, rest[3]; };
struct metric { __u64 count, bytes; };
struct policy_key { __u32 bits, identity; __u8 egress, protocol; __u16 dport; };
struct policy { __u64 words; };

#define MAP(name, kind, k, v, max, ...)     \
	struct {                            \
		__uint(type, kind);         \
		__type(key, k);             \
		__type(value, v);           \
		__uint(max_entries, max);   \
		__VA_ARGS__                 \
	} name SEC(".maps")
MAP(cilium_metrics, BPF_MAP_TYPE_PERCPU_HASH, struct metric_key, struct metric, 1024);
MAP(cilium_policy_v2, BPF_MAP_TYPE_LPM_TRIE, struct policy_key, struct policy, 16384, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(cilium_events, BPF_MAP_TYPE_PERF_EVENT_ARRAY, __u32, __u32, 0);
MAP(cilium_call_policy, BPF_MAP_TYPE_PROG_ARRAY, __u32, __u32, 65535);

/* Drops what policy has no entry for: counted twice, under two lines of a file. */
SEC("tc") int cil_lxc_policy(struct __sk_buff *skb)
{
	struct policy_key key = { 64, __config_security_label, 0, 6, bpf_htons(80) };

	if (bpf_map_lookup_elem(&cilium_policy_v2, &key))
		return TC_ACT_OK;
	for (__u16 line = 1; line <= 2; line++) {
		struct metric_key metric = { 133, 1, line, 1 };
		struct metric first = { 1, skb->len };

		bpf_map_update_elem(&cilium_metrics, &metric, &first, BPF_ANY);
	}
	return TC_ACT_SHOT;
}

SEC("tc") int cil_to_container(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &cilium_call_policy, __config_endpoint_id);
	return TC_ACT_OK;
}

SEC("tc") int cil_from_container(struct __sk_buff *skb)
{
	__u8 event[32] = { 1, __config_interface_mac.bytes[5] };

	event[27] = event[28] = event[29] = event[30] = event[31] = 9;
	bpf_perf_event_output(skb, &cilium_events, BPF_F_CURRENT_CPU, event, sizeof(event));
	skb->mark = __config_security_label;
	return bpf_redirect(__config_interface_ifindex, 0);
}

SEC("tc") int cil_from_netdev(struct __sk_buff *skb)
{
	struct bpf_fib_lookup route = { .family = 2, .ipv4_dst = bpf_htonl(0x0a000002) };

	skb->mark = bpf_fib_lookup(skb, &route, sizeof(route), 0);
	bpf_skb_store_bytes(skb, 0, route.dmac, 6, 0);
	return bpf_redirect_neigh(route.ifindex, 0, 0, 0);
}

SEC("tc") int cil_to_netdev(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = { .tunnel_id = __config_security_label, .remote_ipv4 = 0x0a000002 };

	bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0);
	bpf_skb_change_type(skb, 3);
	return TC_ACT_OK;
}

SEC("tc") int cil_from_overlay(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key;

	skb->mark = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) == 0 ? key.tunnel_id : 7;
	return TC_ACT_OK;
}
