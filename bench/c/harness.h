/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the child processes share: read the workload, then answer one line for each line on stdin.
 *
 *   time VARIANT FROM BLOCKS   ->  BLOCKS numbers: ns of each block of 256 questions, from question FROM on
 *   check VARIANT COUNT        ->  checksum of the answers to the first COUNT questions
 *   bytes VARIANT              ->  memory of the structure, 0 = it has none
 */
#ifndef CILIATE_BENCH_HARNESS_H
#define CILIATE_BENCH_HARNESS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workload.h"

struct workload {
	const struct workload_header *header;
	const unsigned char *entries;
	const struct question *questions;
};

/* Every function ends the process with a message if it cannot do its work. */
struct subject {
	void (*time)(const char *variant, bench_u32 from, bench_u32 blocks, bench_u64 *ns);
	/* Answers to questions 0..count-1, in `answers`. */
	const struct answer *(*answer)(const char *variant, bench_u32 count);
	bench_u64 (*bytes)(const char *variant);
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static struct workload open_workload(const char *path)
{
	struct workload w;
	struct stat st;
	int fd = open(path, O_RDONLY);
	unsigned char *at;

	if (fd < 0 || fstat(fd, &st) < 0)
		fail(path, "cannot be read");
	at = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		fail(path, "cannot be mapped");
	w.header = (const void *)at;
	if (w.header->magic != WORKLOAD_MAGIC || w.header->questions > MAX_QUESTIONS)
		fail(path, "is not a workload");
	w.entries = at + sizeof(*w.header);
	w.questions = (const void *)(w.entries +
				     (size_t)w.header->entries * (w.header->key_size + w.header->value_size));
	return w;
}

/* As `checksum` in bench/checksum.ts. */
static bench_u32 checksum(const struct answer *answers, bench_u32 count)
{
	const bench_u32 *words = (const void *)answers;
	bench_u32 sum = 0x811c9dc5u;

	for (bench_u32 i = 0; i < 2 * count; i++)
		sum = (sum ^ words[i]) * 0x01000193u;
	return sum;
}

static void serve(const struct workload *w, const struct subject *subject)
{
	static bench_u64 ns[MAX_BLOCKS];
	char line[128], what[16], variant[32];
	unsigned from, blocks;

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		from = blocks = 0;
		if (sscanf(line, "%15s %31s %u %u", what, variant, &from, &blocks) < 2)
			fail(line, "no such command");
		if (strcmp(what, "time") == 0) {
			if (blocks > MAX_BLOCKS || from + (bench_u64)blocks * BLOCK > w->header->questions)
				fail(line, "beyond the last question");
			subject->time(variant, from, blocks, ns);
			for (unsigned i = 0; i < blocks; i++)
				printf(i ? " %llu" : "%llu", ns[i]);
			printf("\n");
		} else if (strcmp(what, "check") == 0) {
			if (from > w->header->questions)
				fail(line, "beyond the last question");
			printf("%u\n", checksum(subject->answer(variant, from), from));
		} else if (strcmp(what, "bytes") == 0) {
			printf("%llu\n", subject->bytes(variant));
		} else {
			fail(line, "no such command");
		}
		fflush(stdout);
	}
}

#endif
