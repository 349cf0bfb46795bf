/*
 * Drives real kernel maps by plain bpf(2), so that a test can compare them with ours. Reads lines from stdin, answers each
 * with one line on stdout: a result (0 or an errno), then what was read, in hex.
 *
 *   inner TYPE KEY VALUE MAX FLAGS    an inner map for a map of maps, objects 0, 1, ... -> RESULT
 *   prog                              a program for a prog array, objects 0, 1, ...     -> RESULT
 *   create TYPE KEY VALUE MAX FLAGS   the map that all that follows is about            -> RESULT CPUS
 *   u FLAGS KEY VALUE                 update; VALUE is @N for object N                  -> RESULT
 *   l KEY                             lookup                                            -> RESULT VALUE (or @N)
 *   d KEY                             delete                                            -> RESULT
 *   n KEY                             next key; KEY is - for none                       -> RESULT KEY
 *   w                                 walk all keys                                     -> KEY KEY ... RESULT of the last
 *   b COUNT                           batch lookups of COUNT up to the end              -> RESULT:COUNT:KEYS:VALUES for each
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_LINE = 1 << 20, MAX_OBJECTS = 16, MAX_BYTES = 1 << 19, MAX_STEPS = 5000 };

static uint8_t keys[MAX_BYTES], values[MAX_BYTES], cursor[512], next_cursor[512];
static char line[MAX_LINE], first[MAX_LINE], second[MAX_LINE];
static int objects[MAX_OBJECTS], object_ids[MAX_OBJECTS], object_count;
static int fd = -1, key_size, value_size, holds_objects;

static int sys_bpf(int command, union bpf_attr *attr)
{
	int result = syscall(__NR_bpf, command, attr, sizeof(*attr));
	return result < 0 ? -errno : result;
}

static int possible_cpus(void)
{
	int from = 0, to = 0, fields;
	FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
	if (!file)
		return 1;
	fields = fscanf(file, "%d-%d", &from, &to);
	fclose(file);
	return fields == 2 ? to + 1 : 1;
}

static int create(int map_type, int key, int value, int max, int flags, int inner)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.map_type = map_type;
	attr.key_size = key;
	attr.value_size = value;
	attr.max_entries = max;
	attr.map_flags = flags;
	attr.inner_map_fd = inner;
	return sys_bpf(BPF_MAP_CREATE, &attr);
}

static int load_program(void)
{
	struct bpf_insn code[] = { { .code = 0xb7, .dst_reg = 0, .imm = 0 }, { .code = 0x95 } }; /* r0 = 0; exit */
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = 2;
	attr.license = (uintptr_t) "GPL";
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* Keeps the object, with the id that a lookup will answer. */
static int add_object(int object)
{
	uint32_t info[64] = { 0 }; /* bpf_map_info and bpf_prog_info both begin with type, id */
	union bpf_attr attr;
	int result;
	if (object < 0 || object_count == MAX_OBJECTS)
		return object < 0 ? -object : ENOSPC;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = object;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)info;
	result = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	objects[object_count] = object;
	object_ids[object_count++] = info[1];
	return -result;
}

static void unhex(const char *hex, uint8_t *to)
{
	for (; hex[0] && hex[1]; hex += 2) {
		char pair[3] = { hex[0], hex[1], 0 };
		*to++ = strtoul(pair, NULL, 16);
	}
}

static void hex(const uint8_t *from, int size)
{
	for (int i = 0; i < size; i++)
		printf("%02x", from[i]);
}

static int element(int command, int flags, void *key, void *value)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (uintptr_t)key;
	attr.value = (uintptr_t)value;
	attr.flags = flags;
	return -sys_bpf(command, &attr);
}

static int object_of_id(uint32_t id)
{
	for (int i = 0; i < object_count; i++)
		if ((uint32_t)object_ids[i] == id)
			return i;
	return -1;
}

static void lookup(void)
{
	int result;
	unhex(first, keys);
	result = element(BPF_MAP_LOOKUP_ELEM, 0, keys, values);
	printf("%d ", result);
	if (result == 0 && holds_objects)
		printf("@%d", object_of_id(*(uint32_t *)values));
	else if (result == 0)
		hex(values, value_size);
	printf("\n");
}

static void update(int flags)
{
	unhex(first, keys);
	if (second[0] == '@')
		memcpy(values, &objects[atoi(second + 1)], sizeof(int));
	else
		unhex(second, values);
	printf("%d\n", element(BPF_MAP_UPDATE_ELEM, flags, keys, values));
}

static void walk(void)
{
	int result, left = MAX_STEPS;
	result = element(BPF_MAP_GET_NEXT_KEY, 0, NULL, next_cursor);
	for (; result == 0 && left > 0; left--) {
		hex(next_cursor, key_size);
		printf(" ");
		memcpy(cursor, next_cursor, sizeof(cursor));
		result = element(BPF_MAP_GET_NEXT_KEY, 0, cursor, next_cursor);
	}
	printf("%d\n", result);
}

static void batches(int count)
{
	union bpf_attr attr;
	int result = 0;
	for (int step = 0; result == 0 && step < MAX_STEPS; step++) {
		memset(&attr, 0, sizeof(attr));
		attr.batch.in_batch = step == 0 ? 0 : (uintptr_t)cursor;
		attr.batch.out_batch = (uintptr_t)cursor;
		attr.batch.keys = (uintptr_t)keys;
		attr.batch.values = (uintptr_t)values;
		attr.batch.count = count;
		attr.batch.map_fd = fd;
		result = -sys_bpf(BPF_MAP_LOOKUP_BATCH, &attr);
		for (uint32_t i = 0; holds_objects && i < attr.batch.count; i++)
			((uint32_t *)values)[i] = object_of_id(((uint32_t *)values)[i]);
		printf("%d:%u:", result, attr.batch.count);
		hex(keys, attr.batch.count * key_size);
		printf(":");
		hex(values, attr.batch.count * value_size);
		printf(" ");
	}
	printf("\n");
}

/* An LRU map keeps free entries for each CPU: a process that moves would leave some behind, and the map would look full. */
static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int main(void)
{
	int cpus = possible_cpus();

	stay_on_this_cpu();
	while (fgets(line, sizeof(line), stdin)) {
		int a, b, c, d, e;
		first[0] = second[0] = 0;
		if (sscanf(line, "inner %d %d %d %d %d", &a, &b, &c, &d, &e) == 5) {
			printf("%d\n", add_object(create(a, b, c, d, e, 0)));
		} else if (strncmp(line, "prog", 4) == 0) {
			printf("%d\n", add_object(load_program()));
		} else if (sscanf(line, "create %d %d %d %d %d", &a, &b, &c, &d, &e) == 5) {
			holds_objects = a == BPF_MAP_TYPE_PROG_ARRAY || a == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
					a == BPF_MAP_TYPE_HASH_OF_MAPS;
			key_size = b;
			value_size = c;
			if (a == BPF_MAP_TYPE_PERCPU_HASH || a == BPF_MAP_TYPE_PERCPU_ARRAY || a == BPF_MAP_TYPE_LRU_PERCPU_HASH)
				value_size = (c + 7) / 8 * 8 * cpus;
			fd = create(a, b, c, d, e, object_count ? objects[0] : 0);
			printf("%d %d\n", fd < 0 ? -fd : 0, cpus);
		} else if (sscanf(line, "u %d %s %s", &a, first, second) == 3) {
			update(a);
		} else if (sscanf(line, "l %s", first) == 1) {
			lookup();
		} else if (sscanf(line, "d %s", first) == 1) {
			unhex(first, keys);
			printf("%d\n", element(BPF_MAP_DELETE_ELEM, 0, keys, NULL));
		} else if (sscanf(line, "n %s", first) == 1) {
			int is_start = first[0] == '-', result;
			unhex(is_start ? "" : first, keys);
			result = element(BPF_MAP_GET_NEXT_KEY, 0, is_start ? NULL : keys, next_cursor);
			printf("%d ", result);
			hex(next_cursor, result == 0 ? key_size : 0);
			printf("\n");
		} else if (line[0] == 'w') {
			walk();
		} else if (sscanf(line, "b %d", &a) == 1) {
			batches(a);
		} else {
			printf("unknown line: %s", line);
		}
		fflush(stdout);
	}
	return 0;
}
