/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookups that a packet of a known connection costs, on the kernel's own maps: parse, conntrack in both directions,
 * ipcache, policy for the identity and for any, counters. A part of what Cilium's program does for it: no services, no
 * notifications, no rewriting. bench/datapath_subset.ts does the same steps.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../c/decision.h"
#include "globals.h"

#define ETH_LEN 14
#define IPCACHE_FULL_PREFIX_BITS 64
#define IPCACHE_IPV4 1
#define CT_EGRESS_IN 1
#define CT_EGRESS_OUT 0
#define METRIC_EGRESS 2
#define LIFETIME_TCP 8000

struct ct_tuple {
	bench_u32 daddr;
	bench_u32 saddr;
	bench_u16 dport;
	bench_u16 sport;
	bench_u8 nexthdr;
	bench_u8 flags;
} __attribute__((packed));

struct ct_entry {
	bench_u64 reserved;
	bench_u64 backend_id;
	bench_u64 packets;
	bench_u64 bytes;
	bench_u32 lifetime;
	bench_u32 rest[5];
};

struct metrics_key {
	bench_u8 reason;
	bench_u8 dir;
	bench_u8 rest[6];
};

struct metrics_value {
	bench_u64 count;
	bench_u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 524288);
	__type(key, struct ct_tuple);
	__type(value, struct ct_entry);
} ct SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct bench_policy_key);
	__type(value, struct bench_policy_value);
} policy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 512000);
	__type(key, struct bench_ipcache_key);
	__type(value, struct bench_ipcache_value);
} ipcache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct metrics_key);
	__type(value, struct metrics_value);
} metrics SEC(".maps");

struct asked {
	bench_u32 identity;
	bench_u32 flags;
};

BENCH_INLINE struct ct_entry *known(struct ct_tuple *tuple, bench_u32 len)
{
	struct ct_entry *entry = bpf_map_lookup_elem(&ct, tuple);

	if (entry) {
		entry->lifetime = (bench_u32)(bpf_ktime_get_ns() / 1000000000ull) + LIFETIME_TCP;
		__sync_fetch_and_add(&entry->packets, 1);
		__sync_fetch_and_add(&entry->bytes, len);
	}
	return entry;
}

BENCH_INLINE void count(bench_u32 len)
{
	struct metrics_key key = { .dir = METRIC_EGRESS };
	struct metrics_value *value = bpf_map_lookup_elem(&metrics, &key);

	if (value) {
		value->count++;
		value->bytes += len;
	}
}

#define FIND(key, id) ((key)->identity = (id), bpf_map_lookup_elem(&policy, key))

/* 0: allowed; 1: not a known connection; else the negated drop code. */
SEC("tc") int subset(struct __sk_buff *skb)
{
	unsigned char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end, *ip = data + ETH_LEN, *l4;
	struct bench_ipcache_key address = { .prefixlen = IPCACHE_FULL_PREFIX_BITS, .family = IPCACHE_IPV4 };
	struct bench_policy_key key = { .prefixlen = FULL_PREFIX_BITS, .egress = 1 };
	struct bench_ipcache_value *info;
	struct ct_tuple tuple = {}, reverse;
	struct asked asked = {};
	struct answer out;

	l4 = ip + 20;
	if (l4 + 4 > end || (ip[0] & 0x0f) != 5)
		return 1;
	tuple.daddr = *(bench_u32 *)(ip + 16);
	tuple.saddr = *(bench_u32 *)(ip + 12);
	tuple.dport = *(bench_u16 *)l4;
	tuple.sport = *(bench_u16 *)(l4 + 2);
	tuple.nexthdr = ip[9];
	tuple.flags = CT_EGRESS_IN;
	if (!known(&tuple, skb->len)) {
		reverse = (struct ct_tuple){ tuple.saddr, tuple.daddr, tuple.sport, tuple.dport, tuple.nexthdr, CT_EGRESS_OUT };
		if (!known(&reverse, skb->len))
			return 1;
	}
	address.ip_be[0] = tuple.daddr;
	info = bpf_map_lookup_elem(&ipcache, &address);
	asked.identity = info ? info->identity : 2;
	key.protocol = tuple.nexthdr;
	key.dport_be = tuple.sport;
	DECIDE(FIND, &key, &asked, &out);
	count(skb->len);
	return -out.ret;
}

/* What running a program costs by itself. */
SEC("tc") int nothing(struct __sk_buff *skb)
{
	return 0;
}

char _license[] SEC("license") = "Apache-2.0";
