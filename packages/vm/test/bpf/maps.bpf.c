/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every type of map, global variables, calls, callbacks, tail calls, atomic operations. */
#include "common.h"

struct key { __u32 a, b; };
struct value { __u64 count; __u32 mark, pad; };

#define MAP(name, kind, k, v, max, ...)     \
	struct {                            \
		__uint(type, kind);         \
		__type(key, k);             \
		__type(value, v);           \
		__uint(max_entries, max);   \
		__VA_ARGS__                 \
	} name SEC(".maps")

MAP(hash, BPF_MAP_TYPE_HASH, struct key, struct value, 4);
MAP(lru, BPF_MAP_TYPE_LRU_HASH, struct key, struct value, 64);
MAP(per_cpu, BPF_MAP_TYPE_PERCPU_HASH, struct key, struct value, 4);
MAP(per_cpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct value, 2);
MAP(array, BPF_MAP_TYPE_ARRAY, __u32, struct value, 3);

struct prefix { __u32 bits; __u8 address[4]; };
MAP(trie, BPF_MAP_TYPE_LPM_TRIE, struct prefix, __u32, 8, __uint(map_flags, BPF_F_NO_PREALLOC););
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} inner_one SEC(".maps"), inner_two SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = &inner_one, [3] = &inner_two } };

int next(struct __sk_buff *skb);
int again(struct __sk_buff *skb);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, int(void *));
} calls SEC(".maps") = { .values = { [2] = (void *)&next, [3] = (void *)&again } };

__u32 counter;             /* .bss */
__u32 started = 40;        /* .data */
const volatile __u32 step = 2; /* .rodata */

SEC("tc") int hash_map(struct __sk_buff *skb)
{
	struct key key = { 1, 2 };
	struct value value = { .count = 5, .mark = 7 };
	struct value *found;

	NOTE(skb, 0, bpf_map_lookup_elem(&hash, &key) == 0);
	NOTE(skb, 1, bpf_map_update_elem(&hash, &key, &value, BPF_EXIST));
	NOTE(skb, 2, bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST));
	NOTE(skb, 3, bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST));
	found = bpf_map_lookup_elem(&hash, &key);
	if (!found)
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&found->count, 10);
	found->mark++;
	NOTE(skb, 4, found->count);
	NOTE(skb, 5, found->mark);
	for (key.a = 2; key.a < 8; key.a++)
		NOTE(skb, 4 + key.a, bpf_map_update_elem(&hash, &key, &value, BPF_ANY));
	key.a = 1;
	NOTE(skb, 12, bpf_map_delete_elem(&hash, &key));
	NOTE(skb, 13, bpf_map_delete_elem(&hash, &key));
	return TC_ACT_OK;
}

SEC("tc") int other_maps(struct __sk_buff *skb)
{
	struct key key = { 3, 4 };
	struct value value = { .count = 5, .mark = 7 };
	__u32 zero = 0, two = 2, three = 3;
	struct value *found;

	NOTE(skb, 0, bpf_map_update_elem(&lru, &key, &value, BPF_ANY));
	found = bpf_map_lookup_elem(&lru, &key);
	NOTE(skb, 1, found ? found->mark : 0);
	NOTE(skb, 2, bpf_map_update_elem(&per_cpu, &key, &value, BPF_ANY));
	found = bpf_map_lookup_elem(&per_cpu, &key);
	NOTE(skb, 3, found ? found->count : 0);
	found = bpf_map_lookup_percpu_elem(&per_cpu, &key, 4000);
	NOTE(skb, 4, found == 0);
	found = bpf_map_lookup_elem(&per_cpu_array, &zero);
	if (found)
		found->mark += 3;
	NOTE(skb, 5, found ? found->mark : 0);
	NOTE(skb, 6, bpf_map_update_elem(&array, &two, &value, BPF_ANY));
	NOTE(skb, 7, bpf_map_update_elem(&array, &three, &value, BPF_ANY));
	NOTE(skb, 8, bpf_map_update_elem(&array, &two, &value, BPF_NOEXIST));
	NOTE(skb, 9, bpf_map_delete_elem(&array, &two));
	found = bpf_map_lookup_elem(&array, &two);
	NOTE(skb, 10, found ? found->mark : 0);
	return TC_ACT_OK;
}

SEC("tc") int lpm_trie(struct __sk_buff *skb)
{
	struct prefix any = { 0 }, ten = { 8, { 10 } }, exact = { 32, { 10, 1, 2, 3 } };
	struct prefix asked[3] = { { 32, { 10, 1, 2, 3 } }, { 32, { 10, 1, 2, 4 } }, { 32, { 11 } } };
	__u32 value = 1;

	NOTE(skb, 0, bpf_map_update_elem(&trie, &any, &value, BPF_ANY));
	value = 2;
	NOTE(skb, 1, bpf_map_update_elem(&trie, &ten, &value, BPF_ANY));
	value = 3;
	NOTE(skb, 2, bpf_map_update_elem(&trie, &exact, &value, BPF_ANY));
#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u32 *found = bpf_map_lookup_elem(&trie, &asked[i]);

		NOTE(skb, 3 + i, found ? *found : 0);
	}
	NOTE(skb, 6, bpf_map_delete_elem(&trie, &ten));
	__u32 *found = bpf_map_lookup_elem(&trie, &asked[1]);
	NOTE(skb, 7, found ? *found : 0);
	return TC_ACT_OK;
}

SEC("tc") int map_in_map(struct __sk_buff *skb)
{
	__u32 zero = 0;

#pragma unroll
	for (__u32 i = 0; i < 5; i++) {
		__u32 key = i, *value;
		void *map = bpf_map_lookup_elem(&outer, &key);

		NOTE(skb, 2 * i, map != 0);
		value = map ? bpf_map_lookup_elem(map, &zero) : 0;
		if (value)
			*value += 10 * i;
		NOTE(skb, 2 * i + 1, value ? *value : 0);
	}
	return TC_ACT_OK;
}

SEC("tc") int globals(struct __sk_buff *skb)
{
	counter += step;
	started += counter;
	NOTE(skb, 0, counter);
	NOTE(skb, 1, started);
	return TC_ACT_OK;
}

static __attribute__((noinline)) int deeper(__u32 *at, __u32 by)
{
	*at += by;
	return *at * 3;
}

static __attribute__((noinline)) int deep(struct __sk_buff *skb, __u32 by)
{
	__u32 local = skb->len;

	return deeper(&local, by) + local;
}

SEC("tc") int local_calls(struct __sk_buff *skb)
{
	NOTE(skb, 0, deep(skb, 1));
	NOTE(skb, 1, deep(skb, 5));
	return TC_ACT_OK;
}

struct sum { __u32 turns, total; };

static long add_turn(__u32 i, void *context)
{
	struct sum *sum = context;

	sum->turns++;
	sum->total += i;
	return sum->turns == 7;
}

static long add_value(void *map, __u32 *key, struct value *value, struct sum *sum)
{
	sum->turns++;
	sum->total += value->mark + *key;
	return 0;
}

SEC("tc") int callbacks(struct __sk_buff *skb)
{
	struct sum sum = { 0 };
	__u32 one = 1;
	struct value value = { .mark = 5 };

	NOTE(skb, 0, bpf_loop(5, add_turn, &sum, 0));
	NOTE(skb, 1, sum.total);
	NOTE(skb, 2, bpf_loop(100, add_turn, &sum, 0));
	NOTE(skb, 3, sum.total);
	NOTE(skb, 4, bpf_loop(1 << 24, add_turn, &sum, 0));
	bpf_map_update_elem(&array, &one, &value, BPF_ANY);
	sum.total = 0;
	NOTE(skb, 5, bpf_for_each_map_elem(&array, add_value, &sum, 0));
	NOTE(skb, 6, sum.total);
	return TC_ACT_OK;
}

SEC("tc") int tail_call(struct __sk_buff *skb)
{
	skb->mark = 5;
	bpf_tail_call(skb, &calls, 0); /* empty */
	NOTE(skb, 0, skb->mark);
	bpf_tail_call(skb, &calls, 9); /* behind the end */
	NOTE(skb, 1, skb->mark);
	bpf_tail_call(skb, &calls, 2);
	return TC_ACT_SHOT;
}

SEC("tc") int next(struct __sk_buff *skb)
{
	skb->mark++;
	NOTE(skb, 2, skb->mark);
	bpf_tail_call(skb, &calls, 3);
	return TC_ACT_SHOT;
}

/* Until the 33 tail calls are used up. */
SEC("tc") int again(struct __sk_buff *skb)
{
	skb->mark++;
	bpf_tail_call(skb, &calls, 3);
	NOTE(skb, 3, skb->mark);
	return TC_ACT_OK;
}

SEC("tc") int ring_buffer(struct __sk_buff *skb)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);

	NOTE(skb, 0, record != 0);
	if (!record)
		return TC_ACT_SHOT;
	record[0] = 1;
	record[1] = 2;
	bpf_ringbuf_submit(record, 0);
	record = bpf_ringbuf_reserve(&ring, 8192, 0);
	NOTE(skb, 1, record != 0);
	if (record)
		bpf_ringbuf_discard(record, 0);
	return TC_ACT_OK;
}
