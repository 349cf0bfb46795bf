/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What several workers do to one map at once, and what each of them must see all the same. */
#include "common.h"

#define WORDS 8
#define KEYS 32
#define TURNS 100

struct value { __u32 words[WORDS]; };

#define MAP(name, kind, k, v, max)          \
	struct {                            \
		__uint(type, kind);         \
		__type(key, k);             \
		__type(value, v);           \
		__uint(max_entries, max);   \
	} name SEC(".maps")
MAP(entries, BPF_MAP_TYPE_HASH, __u32, struct value, 256);
MAP(recent, BPF_MAP_TYPE_LRU_HASH, __u32, struct value, 16);
MAP(own, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 1);

/* Of all workers. */
__u64 runs;
__u64 spoilt;   /* values that are not whole, or another key's */
__u64 missing;  /* entries that this worker has just written, in its own range of keys */

/* A value names its key in each word's low half, and who wrote it in the high half. */
static __always_inline void fill(struct value *value, __u32 key, __u32 writer)
{
	for (int i = 0; i < WORDS; i++)
		value->words[i] = writer << 16 | key;
}

static __always_inline int is_spoilt(volatile struct value *value, __u32 key)
{
	__u32 first = value->words[0];

	for (int i = 1; i < WORDS; i++)
		if (value->words[i] != first)
			return 1;
	return (first & 0xffff) != key;
}

/* Writes, reads and deletes entries that the other workers write, read and delete. */
SEC("tc") int hammer(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	__u64 *count;

	for (int turn = 0; turn < 8; turn++) {
		__u32 random = bpf_get_prandom_u32(), key = random % KEYS, private = 100 + 40 * cpu + random % 40;
		struct value value, *found;

		fill(&value, key, turn);
		if (random & 0x10000)
			bpf_map_update_elem(&entries, &key, &value, BPF_ANY);
		found = bpf_map_lookup_elem(&entries, &key);
		if (random & 0x20000)
			bpf_map_delete_elem(&entries, &key);
		bpf_map_update_elem(&recent, &key, &value, BPF_ANY);
		if (found && is_spoilt(found, key))
			__sync_fetch_and_add(&spoilt, 1);
		found = bpf_map_lookup_elem(&recent, &key);
		if (found && is_spoilt(found, key))
			__sync_fetch_and_add(&spoilt, 1);
		fill(&value, private, turn);
		bpf_map_update_elem(&entries, &private, &value, BPF_ANY);
		found = bpf_map_lookup_elem(&entries, &private);
		if (!found)
			__sync_fetch_and_add(&missing, 1);
		else if (is_spoilt(found, private))
			__sync_fetch_and_add(&spoilt, 1);
		bpf_map_delete_elem(&entries, &private);
	}
	count = bpf_map_lookup_elem(&own, &zero);
	if (count)
		(*count)++;
	__sync_fetch_and_add(&runs, 1);
	return TC_ACT_OK;
}

/* Keeps a value whose entry is deleted, while other entries come and go: it must stay as it is until the run is over. */
SEC("tc") int keep(struct __sk_buff *skb)
{
	__u32 key = 50;
	struct value value, *kept;

	fill(&value, key, 1);
	bpf_map_update_elem(&entries, &key, &value, BPF_ANY);
	kept = bpf_map_lookup_elem(&entries, &key);
	if (!kept)
		return TC_ACT_SHOT;
	bpf_map_delete_elem(&entries, &key);
	for (__u32 turn = 0; turn < TURNS; turn++) {
		__u32 other = 51 + turn % 2;

		fill(&value, other, turn);
		bpf_map_update_elem(&entries, &other, &value, BPF_ANY);
		bpf_map_delete_elem(&entries, &other);
	}
	return is_spoilt(kept, key) ? TC_ACT_SHOT : TC_ACT_OK;
}
