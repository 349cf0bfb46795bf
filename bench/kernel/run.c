/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads lookup.bpf.o, fills its maps from a workload and runs its programs by BPF_PROG_TEST_RUN. Nothing is attached or
 * pinned: with the process the maps and programs go.
 *
 * usage: run OBJECT WORKLOAD policy|ipcache
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "../c/harness.h"
#include "globals.h"

static struct workload load;
static struct bpf_object *object;
static struct globals *globals;
static int is_ipcache;

static struct bpf_map *map_named(const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map)
		fail(name, "is not in the object");
	return map;
}

/* Only the maps of this workload get room; the others keep their one entry. */
static void resize(const char *name)
{
	if (bpf_map__set_max_entries(map_named(name), load.header->entries) != 0)
		fail(name, strerror(errno));
}

static void fill(const char *name)
{
	const size_t stride = load.header->key_size + load.header->value_size;
	const int fd = bpf_map__fd(map_named(name));

	for (bench_u32 i = 0; i < load.header->entries; i++) {
		const unsigned char *key = load.entries + i * stride;

		if (bpf_map_update_elem(fd, key, key + load.header->key_size, BPF_ANY) != 0)
			fail(name, strerror(errno));
	}
}

static void run(const char *variant, bench_u32 from, bench_u32 blocks, bench_u32 answer_mask)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, variant);
	char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);

	if (!program)
		fail(variant, "is not in the object");
	globals->from = from;
	globals->blocks = blocks;
	globals->answer_mask = answer_mask;
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts) != 0)
		fail(variant, strerror(errno));
}

static void time_blocks(const char *variant, bench_u32 from, bench_u32 blocks, bench_u64 *ns)
{
	run(variant, from, blocks, BLOCK - 1);
	memcpy(ns, globals->ns, blocks * sizeof(*ns));
}

static const struct answer *answer_all(const char *variant, bench_u32 count)
{
	run(variant, 0, (count + BLOCK - 1) / BLOCK, MAX_QUESTIONS - 1);
	return globals->answers;
}

/* As the kernel reports it: memlock of the map's fdinfo. */
static bench_u64 bytes(const char *variant)
{
	const char *name = strncmp(variant, "hash", 4) == 0 ? "policy_hash" : is_ipcache ? "ipcache" : "policy_lpm";
	char path[64], line[128];
	bench_u64 memlock = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map_named(name)));
	info = fopen(path, "r");
	if (!info)
		fail(path, "cannot be read");
	while (fgets(line, sizeof(line), info))
		sscanf(line, "memlock: %llu", &memlock);
	fclose(info);
	return memlock;
}

int main(int argc, char **argv)
{
	static const struct subject subject = { time_blocks, answer_all, bytes };

	if (argc != 4)
		fail("usage", "run OBJECT WORKLOAD policy|ipcache");
	load = open_workload(argv[2]);
	is_ipcache = strcmp(argv[3], "ipcache") == 0;
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		fail(argv[1], strerror(errno));
	if (is_ipcache) {
		resize("ipcache");
	} else {
		resize("policy_lpm");
		resize("policy_hash");
	}
	if (bpf_object__load(object) != 0)
		fail("kernel refuses the programs", strerror(errno));
	if (is_ipcache) {
		fill("ipcache");
	} else {
		fill("policy_lpm");
		fill("policy_hash");
	}
	globals = mmap(NULL, sizeof(*globals), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map_named(".bss")), 0);
	if (globals == MAP_FAILED)
		fail(".bss cannot be mapped", strerror(errno));
	memcpy(globals->questions, load.questions, (size_t)load.header->questions * sizeof(struct question));
	serve(&load, &subject);
	return 0;
}
