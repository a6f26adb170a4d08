/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/totals.h"

#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"

#define NAME ".totals" /* no name of a sandbox begins like that */

const char *const start_stage_names[START_STAGES] = { "plan", "prepare", "jail" };

const char *const end_reason_names[END_REASONS] = {
	"exited",   "signalled",     "stopped",	    "killed", "timeout",
	"cpu time", "out of memory", "not started", "other",
};

const uint32_t start_bounds_us[START_BUCKETS - 1] = {
	500,	1000,	2000,	5000,	 10000,	  20000,   50000,
	100000, 200000, 500000, 1000000, 2000000, 5000000,
};

static void add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

struct totals *totals_map(int all)
{
	int fd = sys_openat(all, NAME, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	struct totals *t = MAP_FAILED;
	uint64_t none = 0;
	struct stat st;

	/* Memory behind every byte of it: a hole could not be filled on a full disk (SIGBUS). */
	if (fd >= 0 && fstat(fd, &st) == 0 &&
	    (st.st_size >= (off_t)sizeof(*t) || sys_call(SYS_fallocate, fd, 0, 0, sizeof(*t)) == 0))
		t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sys_close(fd);
	if (t == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&t->magic, &none, TOTALS_MAGIC + EVENT_TYPES, false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
	    none == TOTALS_MAGIC + EVENT_TYPES)
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

void totals_events(struct totals *t, const uint64_t now[EVENT_TYPES], uint64_t told[EVENT_TYPES])
{
	for (int i = 0; i < EVENT_TYPES; i++) {
		if (now[i] != told[i])
			add(&t->events[i], now[i] - told[i]);
		told[i] = now[i];
	}
}

bool totals_read(int all, struct totals *ret)
{
	int fd = all < 0 ? -1 : sys_openat(all, NAME, O_RDONLY | O_NOFOLLOW, 0);
	long n = fd < 0 ? -1 : sys_read(fd, ret, sizeof(*ret));

	sys_close(fd);
	if (n == sizeof(*ret) && ret->magic == TOTALS_MAGIC + EVENT_TYPES)
		return true;
	memset(ret, 0, sizeof(*ret));
	return false;
}
