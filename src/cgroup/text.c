/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "cgroup/internal.h"
#include "sys/files.h"
#include "sys/listing.h"

bool cg_join(char out[CG_PATH], const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);

	while (na > 0 && a[na - 1] == '/')
		na--;
	while (*b == '/') {
		b++;
		nb--;
	}
	if (na + nb + 2 > CG_PATH) {
		out[0] = '\0';
		return false;
	}
	memmove(out, a, na);
	out[na] = '/';
	memcpy(out + na + 1, b, nb + 1);
	return true;
}

size_t cg_number(char out[CG_NUMBER], uint64_t v)
{
	size_t n = 1;

	for (uint64_t rest = v / 10; rest > 0; rest /= 10)
		n++;
	out[n] = '\0';
	for (size_t i = n; i > 0; v /= 10)
		out[--i] = (char)('0' + v % 10);
	return n;
}

uint64_t cg_digits(const char *s, const char **end)
{
	uint64_t v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			v = UINT64_MAX;
	*end = s;
	return v;
}

bool cg_has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (*list) {
		size_t len = strcspn(list, " ,\n");

		if (len == n && memcmp(list, word, n) == 0)
			return true;
		list += len;
		list += strspn(list, " ,\n");
	}
	return false;
}

bool cg_keyed(const char *text, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);
	const char *end;

	while (text && *text) {
		if (strncmp(text, key, n) == 0 && text[n] == ' ') {
			text += n + 1;
			*ret = cg_digits(text, &end);
			return end > text;
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return false;
}

enum { READ_MORE = 2048 }; /* seq_read_iter(), fs/seq_file.c; no record is near as long */

long cg_read(int dirfd, const char *name, char *buf, size_t size)
{
	int fd = sys_openat(dirfd, name, O_RDONLY, 0);
	size_t used = 0;
	long n;

	buf[0] = '\0';
	if (fd < 0)
		return fd;
	/* A read gives whole records until a page is full, so a short one is the last. */
	do {
		n = sys_read(fd, buf + used, size - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	} while (n >= READ_MORE && used < size - 1);
	sys_close(fd);
	buf[used] = '\0';
	return n < 0 ? n : (long)used;
}

bool cg_may_write(const char *dir, const char *name)
{
	char path[CG_PATH];

	return cg_join(path, dir, name) &&
	       sys_call(SYS_faccessat, AT_FDCWD, path, 2 /* W_OK */) == 0;
}

void cg_sleep_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	sys_call(SYS_nanosleep, &t, 0);
}

int cg_each_entry(int fd, int (*fn)(const char *name, void *arg), void *arg)
{
	struct sys_listing l;
	const char *name;
	int r;

	sys_list(&l, fd);
	while ((name = sys_list_next(&l))) {
		if (name[0] != '.' && (r = fn(name, arg)) != 0)
			return r;
	}
	return sys_list_error(&l);
}
