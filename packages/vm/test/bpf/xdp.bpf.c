/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What XDP programs do to packets. They note what they saw on their stack first: packets move. */
#include "common.h"

#define NOTES 8

static __always_inline int leave(struct xdp_md *xdp, __u32 *notes)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;

	if (data + OUT + 4 * NOTES > end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < NOTES; i++)
		((__u32 *)(data + OUT))[i] = notes[i];
	return XDP_PASS;
}

SEC("xdp") int head(struct xdp_md *xdp)
{
	__u32 notes[NOTES] = { 0 };

	notes[0] = bpf_xdp_adjust_head(xdp, -20);
	notes[1] = bpf_xdp_get_buff_len(xdp);
	notes[2] = bpf_xdp_adjust_head(xdp, 6);
	notes[3] = bpf_xdp_adjust_head(xdp, -217);
	notes[4] = bpf_xdp_adjust_head(xdp, 5000);
	return leave(xdp, notes);
}

SEC("xdp") int tail(struct xdp_md *xdp)
{
	__u32 notes[NOTES] = { 0 };

	notes[0] = bpf_xdp_adjust_tail(xdp, 9);
	notes[1] = bpf_xdp_get_buff_len(xdp);
	notes[2] = bpf_xdp_adjust_tail(xdp, -20);
	notes[3] = bpf_xdp_adjust_tail(xdp, 30);
	notes[4] = bpf_xdp_adjust_tail(xdp, 4096);
	notes[5] = bpf_xdp_adjust_tail(xdp, -4000);
	return leave(xdp, notes);
}

SEC("xdp") int meta(struct xdp_md *xdp)
{
	__u32 notes[NOTES] = { 0 };

	notes[0] = bpf_xdp_adjust_meta(xdp, -4);
	void *data = (void *)(long)xdp->data;
	__u32 *meta = (void *)(long)xdp->data_meta;
	if ((void *)(meta + 1) <= data)
		*meta = 0x01020304;
	notes[2] = bpf_xdp_adjust_meta(xdp, -3);
	notes[3] = bpf_xdp_adjust_meta(xdp, 8);
	notes[4] = bpf_xdp_adjust_head(xdp, -4);
	notes[5] = xdp->ingress_ifindex;
	notes[6] = bpf_redirect(3, 0);
	return leave(xdp, notes);
}
