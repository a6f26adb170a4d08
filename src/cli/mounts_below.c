/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mounts_below.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/str.h"
#include "sys/files.h"

/* A line has room for two paths, in which a character may take four bytes, and options. */
enum { LINE_MAX_BYTES = 16 << 10 };

static bool is_layered(const struct launch *l, const struct plan *p, const char *path)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);

	for (uint32_t i = 0; i < p->mounts.count; i++) {
		const char *top = m[i].kind == PM_WORKSPACE ? l->workspace
				  : m[i].kind == PM_OVERLAY ? plan_string(p, m[i].source)
							    : NULL;
		const char *rest = top && m[i].flags & PMF_LAYERED ? str_after(path, top) : NULL;

		if (rest && *rest == '/')
			return true;
	}
	return false;
}

/* "\040" is a blank; in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
			     s[2] <= '7' && s[3] >= '0' && s[3] <= '7';

		if (!octal) {
			*to++ = *s++;
			continue;
		}
		*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
		s += 4;
	}
	*to = '\0';
}

/* The fifth word; NULL: the line has none. */
static char *mount_point(char *line)
{
	for (int i = 0; i < 4 && line; i++) {
		line = strchr(line, ' ');
		line = line ? line + 1 : NULL;
	}
	if (line)
		*strchrnul(line, ' ') = '\0';
	return line;
}

static void explain(struct err *e, const char *path)
{
	*e = (struct err){ 0 };
	err_set(e, EPROTO, "workspace",
		"%.300s is mounted below it, and no overlay can go over a directory with a mount in "
		"it",
		path);
	err_remedy(e, "unmount it, start in it, or use --workspace=direct: then it is there as it "
		      "is on the host");
}

int mounts_below(const struct launch *l, const struct plan *p, struct err *e)
{
	static _cold_data_ char room[LINE_MAX_BYTES + 1];
	size_t have = 0;
	bool found = false;
	int fd;

	fd = sys_openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY, 0);
	while (!found && fd >= 0) {
		long n = sys_read(fd, room + have, LINE_MAX_BYTES - have);
		char *end, *line = room;

		if (n <= 0)
			break;
		have += (size_t)n;
		room[have] = '\0';
		while (!found && (end = strchr(line, '\n'))) {
			char *path;

			*end = '\0';
			path = mount_point(line);
			if (path)
				unescape(path);
			found = path && is_layered(l, p, path);
			if (found)
				explain(e, path);
			line = end + 1;
		}
		have -= (size_t)(line - room);
		memmove(room, line, have);
	}
	sys_close(fd);
	return found ? -EPROTO : 0;
}
