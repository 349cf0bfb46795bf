/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice between the entry for the identity and the entry for any identity, profile 1.18, on the bytes of the map's
 * values: the same rule, written for C, as packages/bpf/src/lib/policy.ts. Used by the program for the kernel and by the
 * one for user space, so that only their lookups differ.
 */
#ifndef CILIATE_BENCH_DECISION_H
#define CILIATE_BENCH_DECISION_H

#include "workload.h"

#define BENCH_INLINE static inline __attribute__((always_inline))

BENCH_INLINE int is_deny(const struct bench_policy_value *v)
{
	return v->flags & 1;
}

BENCH_INLINE bench_u8 prefix_bits(const struct bench_policy_value *v)
{
	return v->flags >> 3;
}

/* 1. a deny; 2. higher proxy port priority; 3. longer prefix; 4. on a tie, the entry that names an identity. */
BENCH_INLINE int prefers_any(const struct bench_policy_value *own, const struct bench_policy_value *any)
{
	if (is_deny(any))
		return 1;
	if (any->proxy_port_priority != own->proxy_port_priority)
		return any->proxy_port_priority > own->proxy_port_priority;
	return prefix_bits(any) > prefix_bits(own);
}

/* POLICY_MATCH_*: by what the chosen entry names. */
BENCH_INLINE bench_u8 match_type(bench_u8 bits, int names_identity)
{
	if (bits > PROTOCOL_BITS)
		return names_identity ? 2 : 3;
	if (bits > 0)
		return names_identity ? 5 : 6;
	return names_identity ? 1 : 4;
}

BENCH_INLINE void choose(const struct bench_policy_value *chosen, const struct bench_policy_value *other,
			 int names_identity, struct answer *out)
{
	bench_u8 auth;

	out->match_type = match_type(prefix_bits(chosen), names_identity);
	if (is_deny(chosen)) {
		out->ret = RET_DROP_POLICY_DENY;
		return;
	}
	out->proxy_port = __builtin_bswap16(chosen->proxy_port_be);
	auth = chosen->auth & 0x7f;
	if (other && !(chosen->auth & 0x80) && (other->auth & 0x7f) > auth)
		auth = other->auth & 0x7f;
	out->auth_type = auth;
	out->ret = auth ? RET_DROP_POLICY_AUTH_REQUIRED : RET_OK;
}

/* Neither entry: nothing allows it. */
BENCH_INLINE void no_match(bench_u32 flags, struct answer *out)
{
	out->ret = flags & 1 ? RET_DROP_FRAG_NOSUPPORT : RET_DROP_POLICY;
}

/* `find(context, identity)` answers a value or NULL: what differs between the structures. */
#define DECIDE(find, context, asked, out)                                                                              \
	do {                                                                                                           \
		const struct bench_policy_value *own_ = find(context, (asked)->identity), *any_;                       \
		*(out) = (struct answer){0};                                                                           \
		if (own_ && is_deny(own_)) {                                                                           \
			choose(own_, (void *)0, 1, out);                                                               \
			break;                                                                                         \
		}                                                                                                      \
		any_ = find(context, 0);                                                                               \
		if (any_ && (!own_ || prefers_any(own_, any_)))                                                        \
			choose(any_, own_, 0, out);                                                                    \
		else if (own_)                                                                                         \
			choose(own_, any_, 1, out);                                                                    \
		else                                                                                                   \
			no_match((asked)->flags, out);                                                                 \
	} while (0)

#endif
