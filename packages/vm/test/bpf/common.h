/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the test programs share: they leave what they saw in their packet, from `OUT` on, for a runner to compare. */
#ifndef CILIATE_TEST_COMMON_H
#define CILIATE_TEST_COMMON_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define OUT 64

#define NOTE(skb, n, value)                                              \
	({                                                               \
		__u32 noted = (__u32)(value);                            \
		bpf_skb_store_bytes(skb, OUT + 4 * (n), &noted, 4, 0);   \
	})

char _license[] SEC("license") = "Dual BSD/GPL";

#endif
