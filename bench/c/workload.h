/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that bench/external.ts writes for the programs in C, and the shapes of questions and answers. All numbers are
 * little-endian. A file is a header, `entries` times a key and a value, then `questions` times a question.
 */
#ifndef CILIATE_BENCH_WORKLOAD_H
#define CILIATE_BENCH_WORKLOAD_H

typedef unsigned char bench_u8;
typedef unsigned short bench_u16;
typedef unsigned int bench_u32;
typedef int bench_s32;
typedef unsigned long long bench_u64;

/* Verdicts that are timed together: one pair of clock readings a block. */
#define BLOCK 256
#define MAX_QUESTIONS (1 << 21)
#define MAX_BLOCKS (MAX_QUESTIONS / BLOCK)

struct workload_header {
	bench_u32 magic; /* 'CILW' */
	bench_u32 entries;
	bench_u32 questions;
	bench_u32 key_size;
	bench_u32 value_size;
	bench_u32 pad;
};
#define WORKLOAD_MAGIC 0x574c4943u

/* As QUESTION and ANSWER of packages/bpf/src/engines/engine.ts. For the ipcache, identity is the address, host order. */
struct question {
	bench_u32 identity;
	bench_u16 dport; /* host order */
	bench_u8 protocol;
	bench_u8 egress;
	bench_u32 flags; /* bit 0: untracked fragment */
	bench_u32 pad;
};

struct answer {
	bench_s32 ret;
	bench_u16 proxy_port; /* host order */
	bench_u8 match_type;
	bench_u8 auth_type;
};

/* Byte layout of a policy map's key and value, as packages/maps/src/policymap/layout.ts. */
struct bench_policy_key {
	bench_u32 prefixlen;
	bench_u32 identity;
	bench_u8 egress;
	bench_u8 protocol;
	bench_u16 dport_be;
};

struct bench_policy_value {
	bench_u16 proxy_port_be;
	bench_u8 flags; /* bit 0 deny, bits 3..7 length of the matched prefix */
	bench_u8 auth;  /* bits 0..6 type, bit 7 explicit */
	bench_u8 proxy_port_priority;
	bench_u8 pad[3];
};

#define STATIC_PREFIX_BITS 40
#define FULL_PREFIX_BITS 64
#define PROTOCOL_BITS 8

#define RET_OK 0
#define RET_DROP_POLICY (-133)
#define RET_DROP_FRAG_NOSUPPORT (-157)
#define RET_DROP_POLICY_DENY (-181)
#define RET_DROP_POLICY_AUTH_REQUIRED (-189)

#endif
