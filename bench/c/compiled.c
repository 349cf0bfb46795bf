/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search of the engine `compiled` in C, the yardstick for the same search in WebAssembly
 * (packages/bpf/src/engines/compiled/code.ts): the bytes that the engine built, asked step by step as there, four
 * questions side by side, with SSE2 where the processor has it. What the bytes mean is said in layout.ts.
 *
 * usage: compiled WORKLOAD FORM. A form is the address of its header, u64, then all bytes from the header on.
 */
#include "user_space.h"

#define AT_ONCE 4
#define HASH_FACTOR 0x9e3779b1u
#define TAG_MASK 63u
#define HEIGHT_MASK 7u
#define WIDE 32u
#define SMALL_REFS 32
#define CHILDREN 17
#define RECORD_BIAS 0x40000000u
#define HEADER_BYTES 64
#define RANK_DENY 0x4000

#define STEP static inline __attribute__((always_inline))

struct direction {
	bench_u32 table;
	bench_u32 hash_shift;
	bench_u32 any_row;
	bench_u32 empty_row;
};

struct bucket {
	bench_u32 identities[4];
	bench_u32 rows[4];
};

struct record {
	bench_s32 said; /* proxy port u16, match type u8, auth u8 (bit 7: explicit) */
	bench_s32 rank;
};

/* Addresses in the form are those of the memory it was built in: `base` is where address 0 would be. */
static const unsigned char *form, *base;

/* `is` (0 or 1) ? a : b without a jump: what is found is random, so that jumps would be mispredicted. */
STEP bench_u32 pick(bench_u32 is, bench_u32 a, bench_u32 b)
{
	return b ^ ((a ^ b) & -is);
}

STEP const void *at(const unsigned char *from, bench_u32 address)
{
	return from + address;
}

#ifdef __SSE2__
#include <emmintrin.h>

/* How many of the 16 ascending boundaries are not above the key: a run of set bits from the lowest one. */
STEP bench_u32 rank_in(const void *node, bench_s32 key)
{
	const __m128i above = _mm_set1_epi32(key + 1), *quarters = node;
	const __m128i low = _mm_packs_epi32(_mm_cmpgt_epi32(above, _mm_load_si128(quarters)),
					    _mm_cmpgt_epi32(above, _mm_load_si128(quarters + 1)));
	const __m128i high = _mm_packs_epi32(_mm_cmpgt_epi32(above, _mm_load_si128(quarters + 2)),
					     _mm_cmpgt_epi32(above, _mm_load_si128(quarters + 3)));

	return __builtin_ctz(~_mm_movemask_epi8(_mm_packs_epi16(low, high)));
}

/* Bit n: the bucket's n-th identity is this one. */
STEP bench_u32 hits_in(const struct bucket *b, bench_u32 identity)
{
	const __m128i equal = _mm_cmpeq_epi32(_mm_load_si128((const void *)b->identities), _mm_set1_epi32(identity));

	return _mm_movemask_ps(_mm_castsi128_ps(equal));
}
#else
STEP bench_u32 rank_in(const void *node, bench_s32 key)
{
	const bench_s32 *boundaries = node;
	bench_u32 rank = 0;

	for (int i = 0; i < 16; i++)
		rank += boundaries[i] <= key;
	return rank;
}

STEP bench_u32 hits_in(const struct bucket *b, bench_u32 identity)
{
	bench_u32 hits = 0;

	for (int i = 0; i < 4; i++)
		hits |= (bench_u32)(b->identities[i] == identity) << i;
	return hits;
}
#endif

/* A lookup in progress. */
struct lane {
	bench_s32 key;
	bench_u32 own_row, own_rank;
	bench_u32 any_row, any_rank;
	const struct record *own, *any;
};

STEP void find_row(const unsigned char *from, const struct question *q, struct lane *l)
{
	const struct direction *d;
	const struct bucket *b;
	bench_u32 word, hits;

	memcpy(&word, &q->dport, sizeof(word)); /* port, protocol, egress */
	d = (const struct direction *)form + (word >> 24);
	b = at(from, d->table);
	b += q->identity * HASH_FACTOR >> d->hash_shift;
	hits = hits_in(b, q->identity);
	/* Nearly never, and the fullness first: whether there is a hit is random. */
	while (__builtin_expect((hits == 0) & (b->identities[3] != 0), 0))
		hits = hits_in(++b, q->identity);
	l->key = (bench_s32)(word & 0xffffff);
	l->own_row = pick(hits != 0, b->rows[__builtin_ctz(hits | 8)], d->empty_row);
	l->any_row = d->any_row;
}

STEP void search_roots(const unsigned char *from, struct lane *l)
{
	l->own_rank = rank_in(at(from, l->own_row & ~TAG_MASK), l->key);
	l->any_rank = rank_in(at(from, l->any_row & ~TAG_MASK), l->key);
}

/* A row of more than one level: down to the leaf, then to its reference. */
static __attribute__((noinline)) bench_u32 descend(const unsigned char *from, bench_u32 row, bench_s32 key,
						   bench_u32 rank)
{
	const bench_u32 *root = at(from, row & ~TAG_MASK), *levels = root - 2, *refs = at(from, root[-1]);
	bench_u32 index = 0;

	for (bench_u32 height = row & HEIGHT_MASK; height > 0; height--) {
		index = index * CHILDREN + rank;
		rank = rank_in(at(from, *levels-- + index * 64), key);
	}
	return refs[index * 16 + rank - 1];
}

STEP const struct record *record_of(const unsigned char *from, bench_u32 row, bench_s32 key, bench_u32 rank)
{
	bench_u32 reference;

	if (row & HEIGHT_MASK)
		reference = descend(from, row, key, rank);
	else
		reference = ((const bench_u32 *)at(from, (row & ~TAG_MASK) + (row & WIDE) + SMALL_REFS))[rank - 1];
	return (const struct record *)(form + HEADER_BYTES) + (reference - RECORD_BIAS);
}

STEP void search_leaves(const unsigned char *from, struct lane *l)
{
	l->own = record_of(from, l->own_row, l->key, l->own_rank);
	l->any = record_of(from, l->any_row, l->key, l->any_rank);
}

STEP bench_u32 auth_of(bench_u32 said)
{
	return said >> 24 & 0x7f;
}

/* The greater rank wins, on a tie the entry for the identity. */
STEP void choose(const struct question *q, const struct lane *l, struct answer *out)
{
	const bench_u32 is_own = l->own->rank >= l->any->rank;
	const bench_u32 rank = pick(is_own, l->own->rank, l->any->rank);
	const bench_u32 said = pick(is_own, l->own->said, l->any->said);
	const bench_u32 inherited = auth_of(pick(is_own, l->any->said, l->own->said));
	/* Bit 31: authentication is explicit, nothing is inherited. */
	const bench_u32 inherits = (said >> 31 ^ 1) & (inherited > auth_of(said));
	const bench_u32 auth = pick(inherits, inherited, auth_of(said));
	const bench_u32 dropped = pick(q->flags & 1, RET_DROP_FRAG_NOSUPPORT, RET_DROP_POLICY);
	const bench_u32 passed = pick(auth != 0, RET_DROP_POLICY_AUTH_REQUIRED, RET_OK);
	const bench_u32 words[2] = {
		pick(rank == RANK_DENY, RET_DROP_POLICY_DENY, pick(rank == 0, dropped, passed)),
		(said & 0xffffff) | auth << 24,
	};

	memcpy(out, words, sizeof(words));
}

/* Each step of all lanes before the next one: the loads of a step wait for memory together. */
static void verdicts(const struct question *q, struct answer *out, bench_u32 count)
{
	const unsigned char *from = base;
	struct lane a, b, c, d;

	for (; count > 0; count -= AT_ONCE, q += AT_ONCE, out += AT_ONCE) {
		find_row(from, q, &a);
		find_row(from, q + 1, &b);
		find_row(from, q + 2, &c);
		find_row(from, q + 3, &d);
		search_roots(from, &a);
		search_roots(from, &b);
		search_roots(from, &c);
		search_roots(from, &d);
		search_leaves(from, &a);
		search_leaves(from, &b);
		search_leaves(from, &c);
		search_leaves(from, &d);
		choose(q, &a, out);
		choose(q + 1, &b, out + 1);
		choose(q + 2, &c, out + 2);
		choose(q + 3, &d, out + 3);
	}
}

static void read_form(const char *path)
{
	FILE *file = fopen(path, "rb");
	unsigned char *copy;
	bench_u64 address;
	struct stat st;

	if (!file || fstat(fileno(file), &st) < 0 || fread(&address, sizeof(address), 1, file) != 1)
		fail(path, "cannot be read");
	used_bytes = st.st_size - sizeof(address);
	/* Rows lie on multiples of 64, and so does the header. */
	copy = aligned_alloc(64, (used_bytes + 63) & ~63ull);
	if (!copy || fread(copy, 1, used_bytes, file) != used_bytes)
		fail(path, "cannot be read whole");
	fclose(file);
	form = copy;
	base = copy - address;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		fail("usage", "compiled WORKLOAD FORM");
	load = open_workload(argv[1]);
	read_form(argv[2]);
	return run_program();
}
