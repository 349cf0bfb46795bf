/* SPDX-License-Identifier: Apache-2.0 */
/* What lookup.bpf.c and run.c share: the only global variable of the program, an array map of the kernel. */
#ifndef CILIATE_BENCH_GLOBALS_H
#define CILIATE_BENCH_GLOBALS_H

#include "../c/workload.h"

struct globals {
	bench_u32 from;
	bench_u32 blocks;
	bench_u32 answer_mask; /* question n's answer goes to n & answer_mask */
	bench_u32 pad;
	bench_u64 ns[MAX_BLOCKS];
	struct question questions[MAX_QUESTIONS];
	struct answer answers[MAX_QUESTIONS];
};

struct bench_ipcache_key {
	bench_u32 prefixlen;
	bench_u16 cluster_id;
	bench_u8 pad;
	bench_u8 family; /* 1 = IPv4 */
	bench_u32 ip_be[4];
};

struct bench_ipcache_value {
	bench_u32 identity;
	bench_u8 rest[20];
};

#endif
