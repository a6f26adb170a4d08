/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/totals.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"

const char *const start_stage_names[START_STAGES] = { "plan", "prepare", "jail" };

const char *const end_reason_names[END_REASONS] = {
	"exited",   "signalled",     "stopped",	     "killed",	    "timeout",
	"cpu time", "out of memory", "audit failed", "not started", "other",
};

const uint32_t start_bounds_us[START_BUCKETS - 1] = {
	500,	1000,	2000,	5000,	 10000,	  20000,   50000,
	100000, 200000, 500000, 1000000, 2000000, 5000000,
};

static void add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

/*
 * Of this layout: another version of Purple has another file. No name of a sandbox
 * begins with a dot.
 */
static int open_file(int all, int flags)
{
	char name[40];

	snprintf(name, sizeof(name), ".totals-%d-%zx", EVENT_TYPES, sizeof(struct totals));
	return sys_openat(all, name, flags | O_NOFOLLOW, 0600);
}

int totals_open(int all)
{
	int fd = open_file(all, O_RDWR | O_CREAT), r = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	/* Memory behind every byte of it: a hole could not be filled on a full disk (SIGBUS). */
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_size < (off_t)sizeof(struct totals))
		r = (int)sys_call(SYS_fallocate, fd, 0, 0, sizeof(struct totals));
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

struct totals *totals_map(int all)
{
	int fd = totals_open(all);
	struct totals *t = MAP_FAILED;
	uint64_t none = 0;

	if (fd >= 0)
		t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sys_close(fd);
	if (t == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&t->magic, &none, TOTALS_MAGIC, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED) ||
	    none == TOTALS_MAGIC)
		return t;
	munmap(t, sizeof(*t));
	return NULL;
}

static void observe(struct start_histogram *h, uint64_t us)
{
	unsigned i = 0;

	while (i < START_BUCKETS - 1 && us > start_bounds_us[i])
		i++;
	add(&h->sum_us, us);
	add(&h->buckets[i], 1);
}

void totals_started(struct totals *t, const uint64_t us[START_STAGES])
{
	uint64_t whole = 0;

	for (int i = 0; i < START_STAGES; i++) {
		observe(&t->stages[i], us[i]);
		whole += us[i];
	}
	observe(&t->whole, whole);
	add(&t->started, 1);
}

void totals_ended(struct totals *t, const char *reason)
{
	int i = 0;

	if (!reason)
		reason = "not started";
	while (i < END_REASONS - 1 && !streq(reason, end_reason_names[i]))
		i++;
	add(&t->ended[i], 1);
}

void totals_add(uint64_t *total, uint64_t now, uint64_t *told)
{
	if (now != *told)
		add(total, now - *told);
	*told = now;
}

bool totals_read(int all, struct totals *ret)
{
	int fd = all < 0 ? -1 : open_file(all, O_RDONLY);
	long n = fd < 0 ? -1 : sys_read(fd, ret, sizeof(*ret));

	sys_close(fd);
	if (n == sizeof(*ret) && ret->magic == TOTALS_MAGIC)
		return true;
	memset(ret, 0, sizeof(*ret));
	return false;
}
