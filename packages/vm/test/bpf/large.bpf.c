/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An object of 50,000 instructions: the programs of bench.bpf.c, again and again. For measuring how long it takes to read,
 * link and compile one.
 */
#include "bench.bpf.c"

#define PROGRAMS(n)                                                                  \
	SEC("tc") int drop_##n(struct __sk_buff *skb) { return drop(skb, 1); }       \
	SEC("tc") int established_##n(struct __sk_buff *skb) { return do_established(skb); } \
	SEC("tc") int translate_##n(struct __sk_buff *skb) { return do_translate(skb); } \
	SEC("tc") int compute_##n(struct __sk_buff *skb) { return do_compute(skb); }
#define TEN(n)                                                                       \
	PROGRAMS(n##0) PROGRAMS(n##1) PROGRAMS(n##2) PROGRAMS(n##3) PROGRAMS(n##4)   \
	PROGRAMS(n##5) PROGRAMS(n##6) PROGRAMS(n##7) PROGRAMS(n##8) PROGRAMS(n##9)

TEN(0) TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10)
PROGRAMS(110) PROGRAMS(111) PROGRAMS(112)
