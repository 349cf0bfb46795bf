/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a datapath program does with a packet, piece by piece, for measuring: lookups and counters of a packet that policy
 * drops, of one of a known connection, of one that a service translates; arithmetic alone; calls alone. `fill` comes first.
 */
#include "common.h"
#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

struct tuple { __u32 daddr, saddr; __u16 dport, sport; __u8 protocol, flags; } __attribute__((packed));
struct connection { __u64 packets, bytes; __u32 lifetime, flags; __u32 rest[8]; };
struct prefix { __u32 bits; __u16 cluster; __u8 pad, family; __u32 address[4]; };
struct remote { __u32 identity, rest[5]; };
struct policy_key { __u32 bits, identity; __u8 egress, protocol; __u16 dport; };
struct policy { __u16 proxy; __u8 flags, auth; __u32 priority; };
struct metric_key { __u8 reason, direction; __u16 line; __u32 rest; };
struct metric { __u64 count, bytes; };
struct service { __u32 backend, address; __u16 port, count; };

#define MAP(name, kind, k, v, max, ...)     \
	struct {                            \
		__uint(type, kind);         \
		__type(key, k);             \
		__type(value, v);           \
		__uint(max_entries, max);   \
		__VA_ARGS__                 \
	} name SEC(".maps")
#define TRIE __uint(map_flags, BPF_F_NO_PREALLOC);

MAP(connections, BPF_MAP_TYPE_LRU_HASH, struct tuple, struct connection, 65536);
MAP(ipcache, BPF_MAP_TYPE_LPM_TRIE, struct prefix, struct remote, 65536, TRIE);
MAP(policies, BPF_MAP_TYPE_LPM_TRIE, struct policy_key, struct policy, 16384, TRIE);
MAP(metrics, BPF_MAP_TYPE_PERCPU_HASH, struct metric_key, struct metric, 1024);
MAP(services, BPF_MAP_TYPE_HASH, struct tuple, struct service, 65536);
MAP(events, BPF_MAP_TYPE_PERF_EVENT_ARRAY, __u32, __u32, 0);

#define REMOTE bpf_htonl(0x0a000100)
#define ENTRIES 256

SEC("tc") int fill(struct __sk_buff *skb)
{
	for (__u32 i = 0; i < ENTRIES; i++) {
		struct prefix prefix = { 64, 0, 0, 1, { REMOTE + bpf_htonl(i) } };
		struct remote remote = { 1000 + i };
		struct policy_key key = { 64, 1000 + 2 * i, 0, 6, bpf_htons(80) };
		struct policy policy = { 0 };
		struct tuple tuple = { REMOTE + bpf_htonl(i), bpf_htonl(0x0a000001), bpf_htons(80), bpf_htons(40000 + i), 6, 0 };
		struct connection connection = { 1 };
		struct tuple frontend = { bpf_htonl(0x0a600000 + i), 0, bpf_htons(80), 0, 6, 0 };
		struct service service = { i, REMOTE, bpf_htons(8080), 1 };

		bpf_map_update_elem(&ipcache, &prefix, &remote, BPF_ANY);
		bpf_map_update_elem(&policies, &key, &policy, BPF_ANY);
		bpf_map_update_elem(&connections, &tuple, &connection, BPF_ANY);
		bpf_map_update_elem(&services, &frontend, &service, BPF_ANY);
	}
	return TC_ACT_OK;
}

struct packet { struct tuple tuple; __u32 length; };

static __always_inline int parse(struct __sk_buff *skb, struct packet *packet)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	__u16 *ports = (void *)(ip + 1);

	if ((void *)(ports + 2) > end)
		return -1;
	if (((struct ethhdr *)data)->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return -1;
	packet->tuple.daddr = ip->daddr;
	packet->tuple.saddr = ip->saddr;
	packet->tuple.sport = ports[0];
	packet->tuple.dport = ports[1];
	packet->tuple.protocol = ip->protocol;
	packet->tuple.flags = 0;
	packet->length = skb->len;
	return 0;
}

static __always_inline void count(__u8 reason, __u32 length)
{
	struct metric_key key = { reason, 1 };
	struct metric *metric = bpf_map_lookup_elem(&metrics, &key);

	if (metric) {
		metric->count++;
		metric->bytes += length;
	} else {
		struct metric first = { 1, length };

		bpf_map_update_elem(&metrics, &key, &first, BPF_ANY);
	}
}

static __always_inline __u32 identity_of(__u32 address)
{
	struct prefix prefix = { 64, 0, 0, 1, { address } };
	struct remote *remote = bpf_map_lookup_elem(&ipcache, &prefix);

	return remote ? remote->identity : 2;
}

static __always_inline struct policy *policy_of(struct policy_key *key, __u32 identity)
{
	key->identity = identity;
	return bpf_map_lookup_elem(&policies, key);
}

SEC("tc") int nothing(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

static __always_inline int drop(struct __sk_buff *skb, int tells)
{
	struct packet packet = { 0 };
	struct policy_key key = { 64, 0, 0, 6 };
	__u32 identity;

	if (parse(skb, &packet))
		return TC_ACT_SHOT;
	packet.tuple.sport ^= bpf_htons(0x4000); /* no such connection */
	if (bpf_map_lookup_elem(&connections, &packet.tuple))
		return TC_ACT_OK;
	packet.tuple.flags = 1;
	if (bpf_map_lookup_elem(&connections, &packet.tuple))
		return TC_ACT_OK;
	identity = identity_of(packet.tuple.daddr);
	key.dport = packet.tuple.dport;
	if (policy_of(&key, identity | 1) || policy_of(&key, 0))
		return TC_ACT_OK;
	count(133, packet.length);
	if (tells) {
		__u32 message[8] = { 133, identity, packet.length };

		bpf_perf_event_output(skb, &events, BPF_F_CURRENT_CPU | (64ull << 32), message, sizeof(message));
	}
	return TC_ACT_SHOT;
}

SEC("tc") int policy_drop(struct __sk_buff *skb)
{
	return drop(skb, 0);
}

SEC("tc") int policy_drop_event(struct __sk_buff *skb)
{
	return drop(skb, 1);
}

/* As many as Cilium writes for a packet at its most talkative, of what a trace notification has; two with bytes of the packet. */
SEC("tc") int seven_events(struct __sk_buff *skb)
{
	__u32 message[8] = { 4, 0, skb->len };

	for (__u32 i = 0; i < 7; i++) {
		__u64 payload = i < 2 ? 96ull << 32 : 0;

		message[1] = i;
		bpf_perf_event_output(skb, &events, BPF_F_CURRENT_CPU | payload, message, sizeof(message));
	}
	return TC_ACT_OK;
}

static __always_inline int do_established(struct __sk_buff *skb)
{
	struct packet packet = { 0 };
	struct connection *connection;
	struct policy_key key = { 64, 0, 0, 6 };

	if (parse(skb, &packet))
		return TC_ACT_SHOT;
	connection = bpf_map_lookup_elem(&connections, &packet.tuple);
	if (!connection)
		return TC_ACT_SHOT;
	connection->lifetime = (__u32)(bpf_ktime_get_ns() / 1000000000) + 21600;
	__sync_fetch_and_add(&connection->packets, 1);
	__sync_fetch_and_add(&connection->bytes, packet.length);
	key.dport = packet.tuple.dport;
	if (!policy_of(&key, identity_of(packet.tuple.daddr)))
		return TC_ACT_SHOT;
	count(0, packet.length);
	return bpf_redirect(3, 0);
}

SEC("tc") int established(struct __sk_buff *skb)
{
	return do_established(skb);
}

static __always_inline int do_translate(struct __sk_buff *skb)
{
	struct packet packet = { 0 };
	struct tuple frontend = { 0 };
	struct service *service;
	__u32 old;

	if (parse(skb, &packet))
		return TC_ACT_SHOT;
	frontend.daddr = bpf_htonl(0x0a600007);
	frontend.dport = packet.tuple.dport;
	frontend.protocol = 6;
	service = bpf_map_lookup_elem(&services, &frontend);
	if (!service)
		return TC_ACT_SHOT;
	old = packet.tuple.daddr;
	bpf_skb_store_bytes(skb, 30, &service->address, 4, 0);
	bpf_l3_csum_replace(skb, 24, old, service->address, 4);
	bpf_l4_csum_replace(skb, 50, old, service->address, BPF_F_PSEUDO_HDR | 4);
	bpf_skb_store_bytes(skb, 30, &old, 4, 0);
	return TC_ACT_OK;
}

SEC("tc") int translate(struct __sk_buff *skb)
{
	return do_translate(skb);
}

/* A hash over the packet, byte by byte, 8 times: loops and arithmetic. */
static __always_inline int do_compute(struct __sk_buff *skb)
{
	__u32 hash = 0x811c9dc5;

	for (int turn = 0; turn < 8; turn++) {
		__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

		for (int i = 0; i < 64; i++) {
			if (data + i + 1 > end)
				break;
			hash = (hash ^ data[i]) * 0x01000193;
			hash = hash << 5 | hash >> 27;
		}
	}
	return hash & 0x7fff;
}

SEC("tc") int compute(struct __sk_buff *skb)
{
	return do_compute(skb);
}

int called(struct __sk_buff *skb);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__uint(max_entries, 1);
	__array(values, int(void *));
} calls SEC(".maps") = { .values = { [0] = (void *)&called } };

static __attribute__((noinline)) int step(__u32 a, __u32 b)
{
	return a * 31 + b;
}

SEC("tc") int call(struct __sk_buff *skb)
{
	skb->mark = 0;
	bpf_tail_call(skb, &calls, 0);
	return TC_ACT_SHOT;
}

SEC("tc") int called(struct __sk_buff *skb)
{
	__u32 sum = skb->len;

#pragma unroll
	for (int i = 0; i < 8; i++)
		sum = step(sum, i);
	skb->mark++;
	if (skb->mark < 4)
		bpf_tail_call(skb, &calls, 0);
	return sum & 0x7fff;
}
