/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads datapath.bpf.o and answers one line for each line on stdin. Nothing is attached or pinned.
 *
 *   set MAP KEY VALUE     ->  ok     (bytes as hexadecimal digits)
 *   packet FRAME          ->  ok     the frame that programs get from now on
 *   run PROGRAM REPEAT    ->  NS RET nanoseconds of one run, by the kernel's own clock, and what it returned
 *
 * usage: run_datapath OBJECT
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 2048

static struct bpf_object *object;
static unsigned char frame[MAX_BYTES];
static size_t frame_size;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static size_t bytes(const char *hex, unsigned char *to)
{
	const size_t size = strlen(hex) / 2;

	if (size > MAX_BYTES)
		fail(hex, "is too long");
	for (size_t i = 0; i < size; i++)
		if (sscanf(hex + 2 * i, "%2hhx", to + i) != 1)
			fail(hex, "is not hexadecimal");
	return size;
}

static void set(const char *name, const char *key_hex, const char *value_hex)
{
	static unsigned char key[MAX_BYTES], value[MAX_BYTES];
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	const size_t key_size = bytes(key_hex, key), value_size = bytes(value_hex, value);

	if (!map || key_size != bpf_map__key_size(map) || value_size != bpf_map__value_size(map))
		fail(name, "has no such keys and values");
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) != 0)
		fail(name, strerror(errno));
}

static void run(const char *name, int repeat)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = frame_size, .repeat = repeat);

	if (!program)
		fail(name, "is not in the object");
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts) != 0)
		fail(name, strerror(errno));
	printf("%u %d\n", opts.duration, (int)opts.retval);
}

int main(int argc, char **argv)
{
	static char line[3 * 2 * MAX_BYTES], what[8], a[64], b[2 * MAX_BYTES + 1], c[2 * MAX_BYTES + 1];
	int n;

	if (argc != 2)
		fail("usage", "run_datapath OBJECT");
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		fail(argv[1], strerror(errno));
	if (bpf_object__load(object) != 0)
		fail("kernel refuses the programs", strerror(errno));
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "packet %4096s", b) == 1) {
			frame_size = bytes(b, frame);
			printf("ok\n");
		} else {
			n = sscanf(line, "%7s %63s %4096s %4096s", what, a, b, c);
			if (n == 4 && strcmp(what, "set") == 0) {
				set(a, b, c);
				printf("ok\n");
			} else if (n == 3 && strcmp(what, "run") == 0) {
				run(a, atoi(b));
			} else {
				fail(line, "no such command");
			}
		}
		fflush(stdout);
	}
	return 0;
}
