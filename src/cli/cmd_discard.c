/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/dirs.h"
#include "cli/review.h"
#include "cli/sandboxes.h"
#include "sys/files.h"
#include "workspace/apply.h"

static const char *const help[] = {
	"Drops what sandboxes have changed in their workspaces; the workspaces stay as they are.",
	"",
	"  -h, --help            this text",
	NULL,
};

/* An apply that was cut off may have left files in the workspace. */
static int tidy(const struct store_meta *m, int dir, struct err *e)
{
	int host = journal_exists(dir) ? sys_open_canonical(m->path, O_RDONLY | O_DIRECTORY) : -1;
	struct stat st;
	size_t landed;
	int r = 0;

	/* Where the workspace has gone nobody can say. */
	if (host >= 0 && fstat(host, &st) == 0 && st.st_dev == m->dev && st.st_ino == m->ino)
		r = apply_recover(dir, host, &landed, e);
	sys_close(host);
	return MIN(r, 0);
}

static int discard_one(int all, const char *name, struct err *e)
{
	static struct store_meta m;
	int dir = store_open(all, name), r;

	if (dir == -ENOENT || dir == -EINVAL) {
		err_set(e, ENOENT, "workspace", "no sandbox %.80s has changes that wait", name);
		err_remedy(e, "purple diff, in the workspace, finds them without a name");
		return -ENOENT;
	}
	if (dir < 0)
		return err_set(e, dir, "workspace", "open what %.80s changed", name);
	r = store_lock_soon(dir);
	if (r < 0) {
		err_set(e, r == -EWOULDBLOCK ? EBUSY : -r, "workspace", "%.80s is in use", name);
		err_remedy(e, "`purple stop %.80s` ends its sandbox", name);
		sys_close(dir);
		return -EBUSY;
	}
	/* It may have been found by its id; rubbish has no name but the one that was given. */
	r = store_read(dir, &m);
	if (r == 0 && tidy(&m, dir, e) < 0) {
		sys_close(dir);
		return -e->code;
	}
	r = store_remove(all, r == 0 ? m.name : name, dir);
	return r < 0 ? err_set(e, r, "workspace", "remove what %.80s changed", name) : 0;
}

/* With what it has changed beside its workspace. */
static int discard(int all, const char *name, struct err *e)
{
	char part[STORE_NAME_MAX + 1], base[STORE_NAME_MAX + 1];
	int r = -ENOENT, dir;

	base[0] = '\0';
	dir = store_open(all, name);
	if (dir >= 0 && !strchr(name, ':')) {
		static struct store_meta m;

		str_copy(base, sizeof(base), store_read(dir, &m) == 0 ? m.name : name);
	}
	sys_close(dir);
	for (unsigned n = 1; !strchr(name, ':') && n <= STORE_PARTS_MAX; n++) {
		store_part(*base ? base : name, n, part);
		dir = store_open(all, part);
		if (dir < 0)
			continue;
		sys_close(dir);
		r = discard_one(all, part, e);
		if (r < 0)
			return r;
	}
	if (r == 0 && !*base) /* there is nothing else */
		return 0;
	return discard_one(all, name, e);
}

int cmd_discard(int argc, char **argv)
{
	static struct dirs dirs;
	const struct command_line line = { help, "purple discard NAME…", NULL, 0, 1, -1 };
	struct err e = { 0 };
	int names, status = 0, all, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0)
		r = dirs_init(&dirs);
	if (r < 0)
		return command_failed(&e);
	all = dirs.state ? store_open_all(dirs.state, false) : -ENOENT;
	for (int i = 0; i < names; i++) {
		struct err one = { 0 };

		if (discard(all, argv[i], &one) < 0)
			status = command_failed(&one);
	}
	return status;
}
