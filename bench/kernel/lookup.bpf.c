/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy verdicts and ipcache lookups on the kernel's own maps. Each program answers `blocks` blocks of questions from
 * question `from` on and notes the time of each block, so that what one run costs beside its lookups does not count.
 * `empty` is the same loop with nothing looked up.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../c/decision.h"
#include "globals.h"

#define IPCACHE_FULL_PREFIX_BITS 64 /* cluster, padding and family, then an IPv4 address */
#define IPCACHE_IPV4 1

/* Limits are set by run.c, from the workload. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct bench_policy_key);
	__type(value, struct bench_policy_value);
} policy_lpm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct bench_policy_key);
	__type(value, struct bench_policy_value);
} policy_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct bench_ipcache_key);
	__type(value, struct bench_ipcache_value);
} ipcache SEC(".maps");

/* In .bss: run.c sees it mapped into its memory. */
struct globals g;

struct position {
	bench_u32 at;
};

BENCH_INLINE struct question *next_question(struct position *p)
{
	return &g.questions[p->at & (MAX_QUESTIONS - 1)];
}

BENCH_INLINE struct answer *next_answer(struct position *p)
{
	return &g.answers[p->at++ & g.answer_mask & (MAX_QUESTIONS - 1)];
}

/*
 * The key as three words, written whole: the kernel reads it back in words at once, and to read a word that was written
 * byte by byte costs more than the lookup's hash does.
 */
BENCH_INLINE void set_key(struct bench_policy_key *key, const struct question *q)
{
	const bench_u32 asked = *(const bench_u32 *)&q->dport;
	bench_u32 *words = (bench_u32 *)key;

	words[0] = FULL_PREFIX_BITS;
	words[1] = q->identity;
	words[2] = asked >> 24 | (asked >> 8 & 0xff00) | __builtin_bswap32(asked << 16) << 16;
}

#define FIND_LPM(key, id) ((key)->identity = (id), bpf_map_lookup_elem(&policy_lpm, key))
#define FIND_HASH(key, id) ((key)->identity = (id), bpf_map_lookup_elem(&policy_hash, key))

static long empty_one(bench_u32 i, struct position *p)
{
	struct bench_policy_key key;
	struct answer *out;

	set_key(&key, next_question(p));
	barrier_var(key.identity);
	out = next_answer(p);
	out->ret = key.identity ^ key.protocol;
	out->proxy_port = key.dport_be;
	return 0;
}

static long lpm_one(bench_u32 i, struct position *p)
{
	struct question *q = next_question(p);
	struct answer *out = next_answer(p);
	struct bench_policy_key key;

	set_key(&key, q);
	DECIDE(FIND_LPM, &key, q, out);
	return 0;
}

static long hash_one(bench_u32 i, struct position *p)
{
	struct question *q = next_question(p);
	struct answer *out = next_answer(p);
	struct bench_policy_key key;

	set_key(&key, q);
	DECIDE(FIND_HASH, &key, q, out);
	return 0;
}

/* One raw lookup each: the answer says only whether there is an entry. */
static long lpm_raw_one(bench_u32 i, struct position *p)
{
	struct question *q = next_question(p);
	struct bench_policy_key key;

	set_key(&key, q);
	*next_answer(p) = (struct answer){ .ret = bpf_map_lookup_elem(&policy_lpm, &key) != NULL };
	return 0;
}

static long hash_raw_one(bench_u32 i, struct position *p)
{
	struct question *q = next_question(p);
	struct bench_policy_key key;

	set_key(&key, q);
	*next_answer(p) = (struct answer){ .ret = bpf_map_lookup_elem(&policy_hash, &key) != NULL };
	return 0;
}

static long ipcache_one(bench_u32 i, struct position *p)
{
	struct question *q = next_question(p);
	struct bench_ipcache_key key = { .prefixlen = IPCACHE_FULL_PREFIX_BITS, .family = IPCACHE_IPV4 };
	struct bench_ipcache_value *info;

	key.ip_be[0] = __builtin_bswap32(q->identity);
	info = bpf_map_lookup_elem(&ipcache, &key);
	*next_answer(p) = (struct answer){ .ret = info ? info->identity : 0 };
	return 0;
}

#define PROGRAM(name, one)                                                                                             \
	static long name##_block(bench_u32 i, struct position *p)                                                      \
	{                                                                                                              \
		const bench_u64 begin = bpf_ktime_get_ns();                                                            \
                                                                                                                       \
		bpf_loop(BLOCK, one, p, 0);                                                                            \
		g.ns[i & (MAX_BLOCKS - 1)] = bpf_ktime_get_ns() - begin;                                                 \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("tc") int name(struct __sk_buff *skb)                                                                      \
	{                                                                                                              \
		struct position p = { .at = g.from };                                                                    \
                                                                                                                       \
		bpf_loop(g.blocks, name##_block, &p, 0);                                                                 \
		return 0;                                                                                              \
	}

PROGRAM(empty, empty_one)
PROGRAM(lpm, lpm_one)
PROGRAM(hash, hash_one)
PROGRAM(lpm_raw, lpm_raw_one)
PROGRAM(hash_raw, hash_raw_one)
PROGRAM(ipcache_lookup, ipcache_one)

char _license[] SEC("license") = "Apache-2.0";
