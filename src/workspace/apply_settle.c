/* SPDX-License-Identifier: Apache-2.0 */
/* Where a step has got to, and how it ends: after each rename, and after a crash. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/apply_internal.h"
#include "workspace/internal.h"

struct place {
	int dir; /* owned */
	const char *name;
	char tmp[JOURNAL_NAME], gone[JOURNAL_NAME];
};

static int place_open(int host, const struct step *s, struct place *p)
{
	journal_name(s, false, p->tmp);
	journal_name(s, true, p->gone);
	p->dir = host_open_parent(host, s->path, &p->name);
	return MIN(p->dir, 0);
}

/* Whatever it is. What is not there is no fault. */
static int remove_any(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR || errno == EPERM ? store_remove_tree(dir, name) : -errno;
}

static int look(int dir, const char *name, struct stat *st)
{
	return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Is what lies there now the file of the host that the step was to remove? */
static bool is_expected(int host, const struct step *s, const struct place *p,
			const struct stat *st)
{
	char path[PATH_MAX + JOURNAL_NAME];
	uint64_t tree;

	if (!file_id_is(&s->before, st))
		return false;
	if (!S_ISDIR(st->st_mode))
		return true;
	path_parent(s->path, path);
	str_copy(path + strlen(path), JOURNAL_NAME, "/");
	str_copy(path + strlen(path), JOURNAL_NAME, p->tmp);
	return strlen(path) < PATH_MAX && host_tree(host, path, &tree, NULL, NULL) == 0 &&
	       tree == s->before.tree;
}

static bool is_ours(const struct step *s, const struct stat *st)
{
	return s->after.mode && s->after.ino == st->st_ino && s->after.dev == st->st_dev;
}

/* First another name, which says that it was looked at: so half of a tree is removed too. */
static int drop_old(struct step *s, const struct place *p)
{
	int r = (int)sys_call(SYS_renameat2, p->dir, p->tmp, p->dir, p->gone, RENAME_NOREPLACE);

	s->state = STEP_LANDED;
	return r < 0 ? r : remove_any(p->dir, p->gone);
}

static int settle_replaced(int host, struct step *s, const struct place *p, const struct stat *tmp)
{
	struct stat now;
	int r;

	if (is_expected(host, s, p, tmp))
		return drop_old(s, p);
	/* Another was there. If ours has its name now, it gets it back; else nobody knows. */
	s->state = STEP_LOST;
	if (look(p->dir, p->name, &now) < 0 || !is_ours(s, &now))
		return 0;
	r = (int)sys_call(SYS_renameat2, p->dir, p->tmp, p->dir, p->name, RENAME_EXCHANGE);
	if (r < 0)
		return r;
	s->state = STEP_BACK;
	return remove_any(p->dir, p->tmp);
}

static int settle_deleted(int host, struct step *s, const struct place *p, const struct stat *tmp)
{
	int r;

	if (is_expected(host, s, p, tmp))
		return drop_old(s, p);
	s->state = STEP_LOST;
	r = (int)sys_call(SYS_renameat2, p->dir, p->tmp, p->dir, p->name, RENAME_NOREPLACE);
	if (r == 0)
		s->state = STEP_BACK;
	return r == -EEXIST ? 0 : r;
}

static int settle(int host, bool committing, struct step *s, const struct place *p)
{
	struct stat tmp, now;
	int r = look(p->dir, p->gone, &tmp);

	if (r == 0) {
		s->state = STEP_LANDED;
		return remove_any(p->dir, p->gone);
	}
	if (r != -ENOENT)
		return r;
	r = look(p->dir, p->tmp, &tmp);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && (!committing || is_ours(s, &tmp))) {
		s->state = STEP_BACK;
		return remove_any(p->dir, p->tmp);
	}
	if (r == 0 && s->kind == STEP_REPLACE)
		return settle_replaced(host, s, p, &tmp);
	if (r == 0 && s->kind == STEP_DELETE)
		return settle_deleted(host, s, p, &tmp);
	if (r == 0) {
		s->state = STEP_LOST;
		return 0;
	}
	/* No temporary: it landed, or was never made. */
	r = look(p->dir, p->name, &now);
	if (s->kind == STEP_DELETE)
		s->state = r == -ENOENT ? STEP_LANDED : STEP_BACK;
	else
		s->state = r == 0 && is_ours(s, &now) ? STEP_LANDED : STEP_BACK;
	return 0;
}

int settle_step(int host, bool committing, struct step *s)
{
	struct place p;
	int r;

	if ((s->state != STEP_OPEN && !s->untidy) || s->kind == STEP_INSIDE ||
	    s->kind == STEP_TOUCHED || s->kind == STEP_META)
		return 0;
	r = place_open(host, s, &p);
	/* Its directory is gone, and the temporary with it. */
	if (r == -ENOENT) {
		s->state = STEP_BACK;
		return 0;
	}
	if (r < 0)
		return r;
	r = settle(host, committing, s, &p);
	s->untidy = r < 0;
	sys_close(p.dir);
	return r;
}

static int set_directory_mode(int host, const struct step *s, mode_t from, mode_t to)
{
	_cleanup_close_ int fd = layer_open_path(host, streq(s->path, ".") ? "" : s->path);
	struct stat st;
	char self[32];

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_ino != s->before.ino ||
	    st.st_dev != s->before.dev || st.st_mode != from || st.st_uid != geteuid())
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return chmod(self, to & 07777) < 0 ? -errno : 1;
}

int step_widen(int host, struct step *s)
{
	int r;

	if (!S_ISDIR(s->before.mode) || (s->before.mode & OWNER_WRITES) == OWNER_WRITES)
		return 0;
	r = set_directory_mode(host, s, s->before.mode, s->before.mode | OWNER_WRITES);
	s->widened = r == 1;
	return MIN(r, 0);
}

static void narrow_all(int host, struct journal *j)
{
	for (size_t i = 0; i < j->count; i++) {
		struct step *s = &j->steps[i];

		if ((s->kind == STEP_TOUCHED && s->widened) ||
		    (s->kind == STEP_META && s->state != STEP_LANDED &&
		     (s->before.mode & OWNER_WRITES) != OWNER_WRITES))
			set_directory_mode(host, s, s->before.mode | OWNER_WRITES, s->before.mode);
	}
}

/* What the step's path is on the host now, if that is what we left there. */
static bool as_left(int host, const struct step *s, struct stat *st)
{
	_cleanup_close_ int fd = layer_open_path(host, streq(s->path, ".") ? "" : s->path);
	const struct file_id *id = s->kind == STEP_TOUCHED || s->kind == STEP_META ? &s->before
										   : &s->after;

	if (fd < 0 || fstat(fd, st) < 0 || id->ino != st->st_ino || id->dev != st->st_dev)
		return false;
	return S_ISDIR(st->st_mode) ||
	       (id->size == (uint64_t)st->st_size && id->mtime_ns == time_ns(&st->st_mtim));
}

static int note_landed(int store, int host, const struct journal *j,
		       const struct landed_list *known)
{
	struct landed *all = calloc(j->count + 1, sizeof(*all));
	size_t n = 0;
	int r;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < j->count; i++) {
		const struct step *s = &j->steps[i];
		struct stat st;

		if (s->kind == STEP_DELETE || s->state == STEP_BACK || !as_left(host, s, &st))
			continue;
		all[n++] = (struct landed){ .path = s->path,
					    .dev = st.st_dev,
					    .ino = st.st_ino,
					    .ctime_ns = time_ns(&st.st_ctim) };
	}
	r = landed_write(store, known, all, n);
	free(all);
	return r;
}

int settle_all(int store, int host, struct journal *j, struct landed_list *known, struct err *e)
{
	int worst = 0, r;

	for (size_t i = 0; i < j->count; i++) {
		struct step *s = &j->steps[i];
		char tmp[JOURNAL_NAME];

		r = settle_step(host, j->committing, s);
		journal_name(s, s->state == STEP_LANDED, tmp);
		if (r < 0) {
			err_set(e, r, "workspace", "tidy up %s beside %s", tmp, s->path);
			err_remedy(e, "it is taken up again by the next command");
			worst = r;
		} else if (s->state == STEP_LOST) {
			err_set(e, EBUSY, "workspace",
				"%s was changed by others all the time; what it was is %s beside it",
				s->path, tmp);
			worst = -EBUSY;
		}
	}
	narrow_all(host, j);
	r = note_landed(store, host, j, known);
	if (r < 0)
		return err_set(e, r, "workspace", "write down what was applied");
	/* Nothing may be forgotten before the host has it. */
	if (worst == 0 || worst == -EBUSY) {
		fsync(host);
		r = journal_remove(store);
	}
	return r < 0 ? err_set(e, r, "workspace", "remove the journal") : worst;
}

int apply_recover(int store, int host, size_t *landed, struct err *e)
{
	_cleanup_journal_ struct journal j = JOURNAL_INIT;
	_cleanup_landed_ struct landed_list known = { 0 };
	int r = journal_read(store, &j);

	*landed = 0;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(e, r, "workspace", "read the journal of an apply that was cut off");
	r = landed_read(store, &known);
	if (r < 0)
		return err_set(e, r, "workspace", "read what was applied before");
	for (size_t i = 0; i < j.count; i++)
		j.steps[i].widened = (j.steps[i].before.mode & OWNER_WRITES) != OWNER_WRITES;
	r = settle_all(store, host, &j, &known, e);
	for (size_t i = 0; i < j.count; i++)
		*landed += j.steps[i].state == STEP_LANDED;
	return r < 0 ? r : 1;
}
