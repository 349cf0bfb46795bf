/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timed loops of the programs in user space. A program defines `verdicts` before it includes this file, and calls
 * `run_program` when its structure is there. The variant `empty` is the loop alone.
 */
#ifndef CILIATE_BENCH_USER_SPACE_H
#define CILIATE_BENCH_USER_SPACE_H

#include <time.h>

#include "harness.h"

static struct workload load;
static bench_u64 used_bytes;
static struct answer answers[MAX_QUESTIONS];

/* Answers `count` questions, a multiple of 4. */
static void verdicts(const struct question *q, struct answer *out, bench_u32 count);

static bench_u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (bench_u64)t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The loop and the reading of the keys, with nothing looked up. */
static void time_empty(bench_u32 from, bench_u32 blocks, bench_u64 *ns)
{
	for (bench_u32 b = 0; b < blocks; b++) {
		const struct question *q = load.questions + from + b * BLOCK;
		const bench_u64 begin = now_ns();

		for (int i = 0; i < BLOCK; i++) {
			answers[i] = (struct answer){ .ret = q[i].identity ^ q[i].flags, .proxy_port = q[i].dport };
			__asm__ volatile("" ::: "memory");
		}
		ns[b] = now_ns() - begin;
	}
}

static void time_verdicts(const char *variant, bench_u32 from, bench_u32 blocks, bench_u64 *ns)
{
	if (strcmp(variant, "empty") == 0) {
		time_empty(from, blocks, ns);
		return;
	}
	for (bench_u32 b = 0; b < blocks; b++) {
		const bench_u64 begin = now_ns();

		verdicts(load.questions + from + b * BLOCK, answers, BLOCK);
		ns[b] = now_ns() - begin;
	}
}

static const struct answer *answer_all(const char *variant, bench_u32 count)
{
	(void)variant;
	verdicts(load.questions, answers, count);
	return answers;
}

static bench_u64 bytes(const char *variant)
{
	(void)variant;
	return used_bytes;
}

static int run_program(void)
{
	static const struct subject subject = { time_verdicts, answer_all, bytes };

	serve(&load, &subject);
	return 0;
}

#endif
