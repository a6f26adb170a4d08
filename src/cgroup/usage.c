/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leaf used. One table of figures for both versions; the rows of one
 * file stand together, so that each file is read once.
 */
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "cgroup/internal.h"

struct figure {
	uint8_t controller; /* enum plan_controller: whose directory */
	uint8_t v2;
	uint16_t divisor;	/* version 1 counts nanoseconds */
	const char *file, *key; /* no key: the file is one number */
	size_t field;
};

#define FIELD(name) offsetof(struct cg_usage, name)
/* clang-format off */
static const struct figure figures[] = {
	{ PC_CPUACCT, 1, 1, "cpu.stat", "usage_usec", FIELD(cpu_us) },
	{ PC_CPUACCT, 1, 1, "cpu.stat", "user_usec", FIELD(user_us) },
	{ PC_CPUACCT, 1, 1, "cpu.stat", "system_usec", FIELD(system_us) },
	{ PC_CPU, 1, 1, "cpu.stat", "throttled_usec", FIELD(throttled_us) },
	{ PC_CPU, 1, 1, "cpu.stat", "nr_throttled", FIELD(throttled_count) },
	{ PC_MEMORY, 1, 1, "memory.current", NULL, FIELD(memory) },
	{ PC_MEMORY, 1, 1, "memory.peak", NULL, FIELD(memory_peak) }, /* Linux 5.19 */
	{ PC_MEMORY, 1, 1, "memory.swap.current", NULL, FIELD(swap) },
	{ PC_MEMORY, 1, 1, "memory.events", "oom_kill", FIELD(oom_kills) },
	{ PC_PIDS, 1, 1, "pids.current", NULL, FIELD(pids) },
	{ PC_PIDS, 1, 1, "pids.peak", NULL, FIELD(pids_peak) }, /* Linux 6.6 */
	{ PC_PIDS, 1, 1, "pids.events", "max", FIELD(pids_refused) },

	{ PC_CPUACCT, 0, 1000, "cpuacct.usage", NULL, FIELD(cpu_us) },
	{ PC_CPUACCT, 0, 1000, "cpuacct.usage_user", NULL, FIELD(user_us) },
	{ PC_CPUACCT, 0, 1000, "cpuacct.usage_sys", NULL, FIELD(system_us) },
	{ PC_CPU, 0, 1000, "cpu.stat", "throttled_time", FIELD(throttled_us) },
	{ PC_CPU, 0, 1, "cpu.stat", "nr_throttled", FIELD(throttled_count) },
	{ PC_MEMORY, 0, 1, "memory.usage_in_bytes", NULL, FIELD(memory) },
	{ PC_MEMORY, 0, 1, "memory.max_usage_in_bytes", NULL, FIELD(memory_peak) },
	{ PC_MEMORY, 0, 1, "memory.memsw.usage_in_bytes", NULL, FIELD(swap) }, /* and memory */
	{ PC_MEMORY, 0, 1, "memory.oom_control", "oom_kill", FIELD(oom_kills) },
	{ PC_PIDS, 0, 1, "pids.current", NULL, FIELD(pids) },
	{ PC_PIDS, 0, 1, "pids.peak", NULL, FIELD(pids_peak) },
	{ PC_PIDS, 0, 1, "pids.events", "max", FIELD(pids_refused) },
};
/* clang-format on */

static bool number(const char *text, const char *key, uint64_t *ret)
{
	const char *end;

	if (key)
		return cg_keyed(text, key, ret);
	*ret = cg_digits(text, &end);
	return end > text;
}

/* The sum of the numbers behind @key, as "rbytes=12" or "254:0 Read 12". */
static uint64_t sum(const char *text, const char *key)
{
	uint64_t total = 0;
	const char *end;

	for (size_t n = strlen(key); (text = strstr(text, key)); text += n)
		total += cg_digits(text + n, &end);
	return total;
}

static void io_usage(const struct cg_leaf *l, struct cg_usage *u)
{
	bool v2 = l->v1_fds[PC_IO] < 0;
	int fd = v2 ? l->v2_fd : l->v1_fds[PC_IO];
	char text[CG_TEXT];

	if (fd < 0 || cg_read(fd, v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive",
			      text, sizeof(text)) < 0)
		return;
	u->io_read = sum(text, v2 ? "rbytes=" : " Read ");
	u->io_written = sum(text, v2 ? "wbytes=" : " Write ");
}

void cg_usage(const struct cg_leaf *l, struct cg_usage *u)
{
	const char *file = NULL;
	char text[CG_TEXT];
	long n = -1;
	int last = -1;

	memset(u, 0xff, sizeof(*u)); /* CG_UNKNOWN */
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		const struct figure *f = &figures[i];
		int v1 = l->v1_fds[f->controller], fd = f->v2 ? l->v2_fd : v1;
		uint64_t v;

		if (fd < 0 || (f->v2 && v1 >= 0))
			continue;
		if (!file || fd != last || !streq(file, f->file)) {
			n = cg_read(fd, f->file, text, sizeof(text));
			file = f->file;
			last = fd;
		}
		if (n > 0 && number(text, f->key, &v))
			*(uint64_t *)(void *)((char *)u + f->field) = v / f->divisor;
	}
	if (l->v1_fds[PC_MEMORY] >= 0 && u->swap != CG_UNKNOWN)
		u->swap -= MIN(u->swap, u->memory);
	io_usage(l, u);
}
