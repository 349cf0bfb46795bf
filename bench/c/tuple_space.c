/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuple-space search in C, the yardstick for the engine of that name: for each prefix length that occurs one hash table
 * with open addressing, asked from the longest to the shortest. Entries that name an identity and those for any identity
 * have tables of their own, so that a lookup probes only the lengths its kind has.
 */
#include "decision.h"
#include "user_space.h"

#define LENGTHS (FULL_PREFIX_BITS - STATIC_PREFIX_BITS + 1)

/* 16 bytes; `rest` is the key's egress, protocol and port as one word; value.pad[0]: 0 = free. */
struct slot {
	bench_u32 identity;
	bench_u32 rest;
	struct bench_policy_value value;
};

struct table {
	struct slot *slots;
	bench_u32 mask;
	bench_u32 rest_mask;
};

/* The tables that hold entries, longest prefix first. */
struct space {
	struct table tables[LENGTHS];
	int count;
};

static struct space own, any;

/* egress is the lowest bit of the word, then protocol, then port from its highest bit: a prefix keeps the high bits. */
BENCH_INLINE bench_u32 rest_of(bench_u8 egress, bench_u8 protocol, bench_u16 dport)
{
	return (bench_u32)protocol << 24 | (bench_u32)dport << 8 | (egress & 1);
}

BENCH_INLINE bench_u32 mask_of(int bits)
{
	return (bits == 0 ? 0 : ~0u << (32 - bits)) | 1;
}

BENCH_INLINE bench_u32 hash(bench_u32 identity, bench_u32 rest)
{
	bench_u64 h = ((bench_u64)identity << 32 | rest) * 0x9e3779b97f4a7c15ull;
	return h >> 32;
}

static void insert(struct table *t, bench_u32 identity, bench_u32 rest, const struct bench_policy_value *value)
{
	bench_u32 at = hash(identity, rest) & t->mask;

	while (t->slots[at].value.pad[0] && (t->slots[at].identity != identity || t->slots[at].rest != rest))
		at = (at + 1) & t->mask;
	t->slots[at] = (struct slot){ .identity = identity, .rest = rest, .value = *value };
	t->slots[at].value.pad[0] = 1;
}

static void build(struct space *space, int is_any)
{
	const size_t stride = load.header->key_size + load.header->value_size;

	for (int bits = LENGTHS - 1; bits >= 0; bits--) {
		struct table *t = &space->tables[space->count];
		bench_u32 count = 0, size = 4;

		for (int pass = 0; pass < 2; pass++) {
			for (bench_u32 i = 0; i < load.header->entries; i++) {
				const struct bench_policy_key *k = (const void *)(load.entries + i * stride);

				if ((k->identity == 0) != is_any || k->prefixlen != (bench_u32)(STATIC_PREFIX_BITS + bits))
					continue;
				if (pass == 0)
					count++;
				else
					insert(t, k->identity,
					       rest_of(k->egress, k->protocol, __builtin_bswap16(k->dport_be)) & t->rest_mask,
					       (const void *)(k + 1));
			}
			if (count == 0)
				break;
			if (pass == 1)
				continue;
			while (size < 2 * count)
				size *= 2;
			t->slots = calloc(size, sizeof(struct slot));
			if (!t->slots)
				fail("tuple space", "no memory");
			t->mask = size - 1;
			t->rest_mask = mask_of(bits);
			used_bytes += size * sizeof(struct slot);
		}
		if (count > 0)
			space->count++;
	}
}

BENCH_INLINE const struct bench_policy_value *find_in(const struct space *space, bench_u32 identity, bench_u32 rest)
{
	for (int i = 0; i < space->count; i++) {
		const struct table *t = &space->tables[i];
		const bench_u32 masked = rest & t->rest_mask;

		for (bench_u32 at = hash(identity, masked) & t->mask; t->slots[at].value.pad[0]; at = (at + 1) & t->mask)
			if (t->slots[at].identity == identity && t->slots[at].rest == masked)
				return &t->slots[at].value;
	}
	return NULL;
}

#define FIND(rest, id) find_in((id) ? &own : &any, id, rest)

BENCH_INLINE void verdict(const struct question *q, struct answer *out)
{
	const bench_u32 rest = rest_of(q->egress, q->protocol, q->dport);

	DECIDE(FIND, rest, q, out);
}

static void verdicts(const struct question *q, struct answer *out, bench_u32 count)
{
	for (bench_u32 i = 0; i < count; i++)
		verdict(&q[i], &out[i]);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		fail("usage", "tuple_space WORKLOAD");
	load = open_workload(argv[1]);
	build(&own, 0);
	build(&any, 1);
	return run_program();
}
