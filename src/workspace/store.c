/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"

enum { MAKE_TRIES = 100, SOON_MS = 300 };

bool store_name_ok(const char *name)
{
	static const char more[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strspn(name, more);

	if (n == 0 || n > STORE_NAME_MAX - 2 || strchr("._-", name[0]))
		return false;
	return name[n] == '\0' || (name[n] == ':' && name[n + 1] >= '1' &&
				   name[n + 1] <= '0' + STORE_PARTS_MAX && name[n + 2] == '\0');
}

void store_part(const char *name, unsigned n, char ret[STORE_NAME_MAX + 1])
{
	int len = (int)(strchrnul(name, ':') - name);

	if (n)
		snprintf(ret, STORE_NAME_MAX + 1, "%.*s:%u", MIN(len, STORE_NAME_MAX - 2), name, n);
	else
		snprintf(ret, STORE_NAME_MAX + 1, "%.*s", MIN(len, STORE_NAME_MAX), name);
}

int store_open_all(const char *state, bool make)
{
	return sys_open_private(state, "workspaces", make);
}

int store_open_entry(int all, const char *name)
{
	return sys_openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

static void format_layer(char path[STORE_LAYER_PATH], uint32_t number)
{
	snprintf(path, STORE_LAYER_PATH, STORE_LAYERS "/%u", number);
}

void store_format_shared(char path[STORE_LAYER_PATH], const struct store_meta *m,
			 const struct store_layer *l)
{
	const char *tree = l->tree[0] ? l->tree : m->tree[0] ? m->tree : m->id;

	snprintf(path, STORE_LAYER_PATH, STORE_SHARED "/%s-%u", tree,
		 l->tree[0] ? l->tree_number : l->number);
}

/* Beneath @dir, where our own links and mounts are not followed either. */
static int open_beneath(int dir, const char *path)
{
	return sys_openat2(dir, path, O_RDONLY | O_DIRECTORY, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

int store_open_layer(int dir, const struct store_meta *m, uint32_t number)
{
	const struct store_layer *l = store_layer(m, number);
	char path[STORE_LAYER_PATH];
	int fd = -ENOENT, all;

	if (!l)
		return -EBADMSG;
	format_layer(path, number);
	if (!l->tree[0])
		fd = open_beneath(dir, path);
	if (fd != -ENOENT)
		return fd;
	store_format_shared(path, m, l);
	all = sys_openat(dir, "..", O_PATH | O_DIRECTORY, 0);
	fd = all < 0 ? all : open_beneath(all, path);
	sys_close(all);
	return fd;
}

int store_layer_path(int dir, const struct store_meta *m, uint32_t number,
		     char path[STORE_LAYER_PATH], bool *shared)
{
	const struct store_layer *l = store_layer(m, number);

	if (!l)
		return -EBADMSG;
	format_layer(path, number);
	*shared = l->tree[0] || sys_call(SYS_faccessat, dir, path, 0) == -ENOENT;
	if (*shared)
		store_format_shared(path, m, l);
	return 0;
}

/* Its root's mode and owner are what the sandbox sees of the workspace's own. */
static int make_layer(int dir, const struct store_meta *m, uint32_t number)
{
	char path[STORE_LAYER_PATH];
	int r;

	format_layer(path, number);
	r = sys_mkdirat(dir, path, 0700);
	if (r == 0 && geteuid() == 0 && fchownat(dir, path, m->uid, m->gid, 0) < 0)
		r = -errno;
	return r;
}

/* And its xattrs and times, if the layer below has changed them. */
static int inherit(int dir, const struct store_meta *m, uint32_t number, uint32_t parent)
{
	char path[STORE_LAYER_PATH];
	int from, to, r = 0;

	format_layer(path, number);
	if (parent == 0)
		return fchmodat(dir, path, m->mode_bits, 0) < 0 ? -errno : 0;
	to = open_beneath(dir, path);
	from = to < 0 ? to : store_open_layer(dir, m, parent);
	r = from < 0 ? from : store_copy_attributes(from, to, false);
	sys_close(from);
	sys_close(to);
	return r;
}

int store_add_layer(int dir, struct store_meta *m, uint32_t parent)
{
	const struct store_layer *last = m->layers_count ? &m->layers[m->layers_count - 1] : NULL;
	uint32_t number = last ? last->number + 1 : 1;
	int r;

	if (m->layers_count == STORE_LAYERS_MAX)
		return -ENOSPC;
	r = make_layer(dir, m, number);
	/* Left by who was killed before the meta named it. */
	if (r == -EEXIST) {
		char path[STORE_LAYER_PATH];

		format_layer(path, number);
		r = store_remove_tree(dir, path);
		r = r < 0 ? r : make_layer(dir, m, number);
	}
	if (r == 0)
		r = inherit(dir, m, number, parent);
	if (r < 0)
		return r;
	m->layers[m->layers_count++] = (struct store_layer){ .number = number, .parent = parent };
	m->top = number;
	return 0;
}

int store_lock(int dir, bool exclusive)
{
	struct stat st;
	int r = (int)sys_call(SYS_flock, dir, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);

	if (r == 0 && (fstat(dir, &st) < 0 || st.st_nlink == 0))
		return -ESTALE;
	return r;
}

int store_lock_soon(int dir)
{
	int r = store_lock(dir, true);

	for (int ms = 0; r == -EWOULDBLOCK && ms < SOON_MS; ms += 5) {
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		r = store_lock(dir, true);
	}
	return r;
}

bool store_is_live(int dir)
{
	/* Of an open file of its own: the lock must not be taken from @dir's holder. */
	int again = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	bool live = again >= 0 && store_lock(again, false) == -EWOULDBLOCK;

	sys_close(again);
	return live;
}

static int fill(int dir, struct store_meta *m)
{
	struct timespec now;
	int fd, r;

	clock_gettime(CLOCK_REALTIME, &now);
	m->created_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	m->top = m->layers_count = 0;
	/* The mode to the letter, whatever the umask. */
	if (fchmod(dir, 0700) < 0)
		return -errno;
	fd = sys_openat(dir, STORE_CREATED, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	sys_close(fd);
	r = sys_mkdirat(dir, STORE_LAYERS, 0700);
	if (r == 0)
		r = sys_mkdirat(dir, STORE_WORK, 0700);
	if (r == 0 && geteuid() == 0 && fchownat(dir, STORE_WORK, m->uid, m->gid, 0) < 0)
		r = -errno;
	if (r == 0)
		r = store_add_layer(dir, m, 0);
	return r < 0 ? r : store_write_new(dir, m);
}

static int in_use(const char *name, bool live, struct err *e)
{
	err_set(e, EPROTO, "workspace",
		live ? "there is a sandbox %s already"
		     : "changes of an earlier sandbox %s wait for review",
		name);
	if (live)
		err_remedy(e, "use another name");
	else
		err_remedy(
			e,
			"`purple diff %s` shows them, --resume goes on in them; `purple apply %s` "
			"or `purple discard %s`",
			name, name, name);
	return -EEXIST;
}

/* The directory @name, made and locked by us; -EEXIST: it is somebody's. */
static int claim(int all, const char *name, bool *live)
{
	int r = sys_mkdirat(all, name, 0700), dir;

	if (r == -EEXIST) {
		/* A sweeper's rule: what nobody holds and nobody waits for is free. */
		r = store_sweep_one(all, name, live);
		return r == 0 ? -EAGAIN : r;
	}
	dir = r < 0 ? r : store_open_entry(all, name);
	r = dir < 0 ? dir : store_lock(dir, true);
	if (r == 0)
		return dir;
	sys_close(dir);
	return r == -ENOENT || r == -ESTALE || r == -EWOULDBLOCK ? -EAGAIN : r;
}

int store_make(int all, struct store_meta *m, struct err *e)
{
	bool live = false;
	int dir = -EINVAL, r;

	if (!store_name_ok(m->name))
		return err_set(e, EINVAL, "workspace", "%.80s", m->name);
	for (int i = 0; i < MAKE_TRIES; i++) {
		dir = claim(all, m->name, &live);
		if (dir != -EAGAIN)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	if (dir == -EEXIST)
		return in_use(m->name, live, e);
	r = dir < 0 ? dir : fill(dir, m);
	if (r == 0)
		return dir;
	err_set(e, r, "workspace", "make the directory for what %s changes", m->name);
	if (dir >= 0)
		store_remove(all, m->name, dir);
	return r;
}

struct by_id {
	int all, dir;
	const char *id;
};

static bool has_id(void *data, const char *name)
{
	static _cold_data_ struct store_meta m;
	struct by_id *b = data;
	int dir = strchr(name, ':') ? -ENOENT : store_open_entry(b->all, name);

	if (dir >= 0 && store_read(dir, &m) == 0 && streq(m.id, b->id)) {
		b->dir = dir;
		return false;
	}
	sys_close(dir);
	return true;
}

int store_open(int all, const char *name)
{
	struct by_id b = { .all = all, .dir = -ENOENT, .id = name };
	int dir = store_name_ok(name) ? store_open_entry(all, name) : -ENOENT;

	if (dir == -ENOENT && strlen(name) == STORE_ID_LEN) {
		store_each(all, has_id, &b);
		dir = b.dir;
	}
	return dir;
}

int store_base(int dir, const struct store_meta *m, int64_t *ns)
{
	struct stat st;

	if (m->base_ns) {
		*ns = (int64_t)m->base_ns;
		return 0;
	}
	if (fstatat(dir, STORE_CREATED, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ns = st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec;
	return 0;
}
