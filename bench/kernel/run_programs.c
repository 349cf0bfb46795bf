/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes maps and loads programs as it is told, and runs them. Answers one line for each line on stdin; bytes are hexadecimal
 * digits. Nothing is attached or pinned.
 *
 *   map NAME TYPE KEY VALUE ENTRIES FLAGS  ->  ok      sizes in bytes
 *   freeze MAP                             ->  ok
 *   program NAME CODE [SLOT:MAP]...        ->  ok      an LDDW in each SLOT gets the map
 *   set MAP KEY VALUE                      ->  ok
 *   put MAP INDEX PROGRAM                  ->  ok
 *   clear MAP                              ->  ok
 *   events MAP                             ->  ok      from now on somebody reads them
 *   packet FRAME                           ->  ok      the frame that programs get from now on
 *   run PROGRAM REPEAT CALLS [PORT]        ->  NS RET  median over the calls of the nanoseconds of one run, by the kernel's
 *                                                      own clock; what all returned, or -1. With PORT, the frame's TCP or UDP
 *                                                      source port counts from it on
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THINGS 512
#define MAX_BYTES 4096
#define MAX_CALLS 100000
#define MAX_SLOTS 16384
#define LOG_BYTES (1 << 20)
#define EVENT_PAGES 2048
#define WATERMARK (512 << 10)
#define SOURCE_PORT 34 /* Ethernet and IPv4 without options */

struct thing {
	char name[80];
	int fd;
	__u32 key, value;
};

static struct thing things[MAX_THINGS];
static int things_count;
static unsigned char frame[MAX_BYTES];
static size_t frame_size;
static struct perf_buffer *reader;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static const char *word(void)
{
	const char *found = strtok(NULL, " \n");

	if (!found)
		fail("a command", "too few words");
	return found;
}

static __u32 number(void)
{
	return strtoul(word(), NULL, 10);
}

static size_t bytes(const char *hex, unsigned char *to, size_t most)
{
	const size_t size = strlen(hex) / 2;

	if (size > most)
		fail("bytes", "too many");
	for (size_t i = 0; i < size; i++)
		if (sscanf(hex + 2 * i, "%2hhx", to + i) != 1)
			fail("bytes", "not hexadecimal");
	return size;
}

static struct thing *find(const char *name)
{
	for (int i = 0; i < things_count; i++)
		if (strcmp(things[i].name, name) == 0)
			return &things[i];
	fail(name, "is not there");
	return NULL;
}

static void add(const char *name, int fd, __u32 key, __u32 value)
{
	struct thing *thing = &things[things_count++];

	if (things_count == MAX_THINGS || strlen(name) >= sizeof(thing->name))
		fail(name, "too many, or too long a name");
	strcpy(thing->name, name);
	thing->fd = fd;
	thing->key = key;
	thing->value = value;
}

static void map(const char *name)
{
	const __u32 type = number(), key = number(), value = number(), entries = number();
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = number());
	const int fd = bpf_map_create(type, NULL, key, value, entries, &opts);

	if (fd < 0)
		fail(name, strerror(errno));
	add(name, fd, key, value);
}

/* Instructions are 8 bytes: op, registers, offset, immediate. */
static void program(const char *name)
{
	static struct bpf_insn code[MAX_SLOTS];
	static char log[LOG_BYTES];
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	const size_t size = bytes(word(), (unsigned char *)code, sizeof(code));
	int fd;

	for (char *slot; (slot = strtok(NULL, " \n"));) {
		char *colon = strchr(slot, ':');
		const unsigned long at = strtoul(slot, NULL, 10);

		if (!colon || at >= size / sizeof(code[0]))
			fail(slot, "no such instruction");
		code[at].imm = find(colon + 1)->fd;
	}
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, NULL, "Dual BSD/GPL", code, size / sizeof(code[0]), &opts);
	if (fd < 0) {
		opts.log_buf = log;
		opts.log_size = sizeof(log);
		opts.log_level = 1;
		bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, NULL, "Dual BSD/GPL", code, size / sizeof(code[0]), &opts);
		fprintf(stderr, "%s\n", log);
		fail("the kernel refuses it", name);
	}
	add(name, fd, 0, 0);
}

static void set(const struct thing *map)
{
	unsigned char key[MAX_BYTES], value[MAX_BYTES];

	if (bytes(word(), key, sizeof(key)) != map->key || bytes(word(), value, sizeof(value)) != map->value)
		fail(map->name, "has no such keys and values");
	if (bpf_map_update_elem(map->fd, key, value, BPF_ANY) != 0)
		fail(map->name, strerror(errno));
}

static void put(const struct thing *map)
{
	const __u32 index = number();
	const int fd = find(word())->fd;

	if (bpf_map_update_elem(map->fd, &index, &fd, BPF_ANY) != 0)
		fail(map->name, strerror(errno));
}

static void freeze(const struct thing *map)
{
	if (bpf_map_freeze(map->fd) != 0)
		fail(map->name, strerror(errno));
}

static void clear(const struct thing *map)
{
	unsigned char key[MAX_BYTES];

	while (bpf_map_get_next_key(map->fd, NULL, key) == 0)
		bpf_map_delete_elem(map->fd, key);
}

static enum bpf_perf_event_ret ignore(void *context, int cpu, struct perf_event_header *event)
{
	(void)context, (void)cpu, (void)event;
	return LIBBPF_PERF_EVENT_CONT;
}

static void read_events(const struct thing *map)
{
	struct perf_event_attr how = {
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.type = PERF_TYPE_SOFTWARE,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.watermark = 1,
		.wakeup_watermark = WATERMARK,
		.size = sizeof(how),
	};

	reader = perf_buffer__new_raw(map->fd, EVENT_PAGES, &how, ignore, NULL, NULL);
	if (!reader)
		fail(map->name, strerror(errno));
}

static int ascending(const void *a, const void *b)
{
	const __u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return x < y ? -1 : x > y;
}

static void run(const struct thing *program)
{
	static __u32 times[MAX_CALLS];
	const __u32 repeat = number(), calls = number();
	const char *port = strtok(NULL, " \n");
	long all = 0;

	if (calls == 0 || calls > MAX_CALLS)
		fail(program->name, "no such number of calls");
	for (__u32 i = 0; i < calls; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = frame_size, .repeat = repeat);

		if (port) {
			const int number = atoi(port) + i;

			frame[SOURCE_PORT] = number >> 8;
			frame[SOURCE_PORT + 1] = number;
		}
		if (bpf_prog_test_run_opts(program->fd, &opts) != 0)
			fail(program->name, strerror(errno));
		times[i] = opts.duration;
		all = i == 0 || all == (long)opts.retval ? (long)opts.retval : -1;
	}
	if (reader)
		perf_buffer__consume(reader);
	qsort(times, calls, sizeof(times[0]), ascending);
	printf("%u %ld\n", times[calls / 2], all);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	libbpf_set_print(NULL);
	printf("ready\n");
	fflush(stdout);
	while (getline(&line, &room, stdin) > 0) {
		const char *what = strtok(line, " \n");

		if (!what)
			fail("an empty line", "no command");
		if (strcmp(what, "run") == 0) {
			run(find(word()));
			fflush(stdout);
			continue;
		}
		if (strcmp(what, "map") == 0)
			map(word());
		else if (strcmp(what, "freeze") == 0)
			freeze(find(word()));
		else if (strcmp(what, "program") == 0)
			program(word());
		else if (strcmp(what, "set") == 0)
			set(find(word()));
		else if (strcmp(what, "put") == 0)
			put(find(word()));
		else if (strcmp(what, "clear") == 0)
			clear(find(word()));
		else if (strcmp(what, "events") == 0)
			read_events(find(word()));
		else if (strcmp(what, "packet") == 0)
			frame_size = bytes(word(), frame, sizeof(frame));
		else
			fail(what, "no such command");
		printf("ok\n");
		fflush(stdout);
	}
	return 0;
}
