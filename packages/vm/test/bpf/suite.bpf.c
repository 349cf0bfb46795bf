/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tests as those in Cilium's bpf/tests are once compiled: sections, phases, results as protobuf messages in a map. */
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u8[8192]);
	__uint(max_entries, 1);
} suite_result_map SEC(".maps");

__u32 runs; /* kept from one test to the next */

/* results: { name: "part", status, test_log: { fmt: "f:1: saw %u", args: 0x12345 } } */
static const __u8 message[] = {
	0x0a, 0x80 | 34, 0, /* Cilium writes the length in two bytes, however short it is */
	0x0a, 5, 'p', 'a', 'r', 't', 0,
	0x10, 0,
	0x1a, 23, 0x0a, 12, 'f', ':', '1', ':', ' ', 's', 'a', 'w', ' ', '%', 'u', 0,
	0x11, 0x45, 0x23, 0x01, 0, 0, 0, 0, 0,
};
#define STATUS_AT 11

static __always_inline void result(__u8 status)
{
	__u32 zero = 0;
	__u8 *out = bpf_map_lookup_elem(&suite_result_map, &zero);

	if (!out)
		return;
	__builtin_memcpy(out, message, sizeof(message));
	out[STATUS_AT] = status;
}

SEC("tc/test/10_first/pktgen") int first_pktgen(struct __sk_buff *skb)
{
	__u16 type = 0x0008;

	bpf_skb_change_tail(skb, 60, 0);
	bpf_skb_store_bytes(skb, 12, &type, 2, 0);
	skb->mark = 7;
	return 99; /* ignored */
}

SEC("tc/test/10_first/setup") int first_setup(struct __sk_buff *skb)
{
	skb->cb[1] = skb->mark + skb->protocol;
	return TC_ACT_REDIRECT;
}

SEC("tc/test/10_first/check") int first_check(struct __sk_buff *skb)
{
	__u32 status = 0;

	runs++;
	result(1);
	bpf_skb_load_bytes(skb, 0, &status, 4);
	return status == TC_ACT_REDIRECT && skb->len == 64 && skb->cb[1] == 15 && runs == 1 ? 1 : 2;
}

SEC("tc/test/2_third/check") int third_check(struct __sk_buff *skb)
{
	result(2); /* only a part fails: the answer is PASS */
	return runs == 2 ? 1 : 2;
}

SEC("tc/test/1_second/check") int second_check(struct __sk_buff *skb)
{
	return runs == 2 && skb->len == 3520 ? 1 : 2;
}

SEC("tc/test/0_skipped/check") int skipped_check(struct __sk_buff *skb)
{
	return 3;
}

SEC("tc/test/15_setup_only/setup") int only_setup(struct __sk_buff *skb)
{
	runs++;
	bpf_skb_change_tail(skb, 100, 0);
	return TC_ACT_OK;
}

SEC("tc/test/15_setup_only/check") int only_check(struct __sk_buff *skb)
{
	return skb->len == 104 ? 1 : 2;
}

SEC("tc/test/3_answer/check") int answer_check(struct __sk_buff *skb)
{
	return 2;
}
