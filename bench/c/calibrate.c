/* How fast is this machine now? Prints the time of STEPS dependent integer steps, in nanoseconds, and their result.
 * The same loop as in bench/calibrate.ts. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	const uint32_t steps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	struct timespec start, end;
	uint32_t x = 1;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint32_t i = 0; i < steps; i++)
		x = x * 1664525u + 1013904223u;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%" PRId64 " %" PRIu32 "\n",
	       (int64_t)(end.tv_sec - start.tv_sec) * 1000000000 + (end.tv_nsec - start.tv_nsec), x);
	return 0;
}
