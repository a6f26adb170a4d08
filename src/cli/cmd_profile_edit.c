/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create, edit, delete: the user's own profiles. Everything happens relative
 * to a descriptor of that directory, below which no symbolic link is
 * followed, and a file is replaced whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cmd_profile.h"

enum { EDITOR_WORDS_MAX = 16 };

/* A directory below @at, made if it is not there; a symbolic link is -ELOOP or -ENOTDIR. */
static int open_below(int at, const char *name)
{
	int fd;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The user's profile directory, made if need be; a descriptor or -errno. */
static int open_user_dir(const struct dirs *dirs)
{
	_cleanup_close_ int config = -1, purple = -1;

	if (!dirs->config)
		return -ENOENT;
	/* The configuration directory itself may be a link: it is the user's. */
	if (mkdir(dirs->config, 0700) < 0 && errno != EEXIST)
		return -errno;
	config = open(dirs->config, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (config < 0)
		return -errno;
	purple = open_below(config, "purple");
	if (purple < 0)
		return purple;
	return open_below(purple, "profiles");
}

static int fail_user_dir(const struct dirs *dirs, int r)
{
	if (!dirs->config)
		return profile_fail(
			0, "neither HOME nor XDG_CONFIG_HOME says where your profiles are");
	return profile_fail(r, "cannot open %.200s", dirs->policy.user);
}

static bool file_name(const char *name, char *ret, size_t size)
{
	return policy_name_ok(name) && snprintf(ret, size, "%s.yaml", name) < (int)size;
}

static int fail_name(const char *name)
{
	return profile_fail(0,
			    "%.80s is not the name of a profile; write a-z 0-9 . _ -, 64 at "
			    "most, without '..'",
			    name);
}

static void put_diags(const struct diags *d)
{
	int r = write_full(STDERR_FILENO, d->text.data ? d->text.data : "", d->text.len);

	(void)r;
}

/* Is @text a good policy, standing at @path? Says what is wrong with it. */
static bool good(const struct dirs *dirs, const char *path, const struct buf *text)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;
	int r = policy_parse(&p, path, text->data ? text->data : "", text->len, &dirs->policy, &d);

	if (r == 0)
		r = policy_validate(&p, &d);
	put_diags(&d);
	return r == 0;
}

static void template(struct buf *b, const char *name, const char *parent)
{
	buf_printf(b,
		   "# `purple profile explain` says what can stand here.\n"
		   "name: %s\ndescription: \"\"\n",
		   name);
	if (parent)
		buf_printf(b, "extends: %s\n", parent);
	else
		buf_puts(b,
			 "\nfilesystem:\n  workspace: direct\n\nresources:\n  pids_limit: 1024\n\n"
			 "network:\n  isolated: true\n");
}

/* A new file that replaces none: written beside, then moved without overwriting. */
static int store_new(int dir, const char *file, const struct buf *b)
{
	char tmp[128];
	int r;

	snprintf(tmp, sizeof(tmp), ".%.80s.new-%d", file, (int)getpid());
	r = write_file_atomic(dir, tmp, b->data, b->len, 0600);
	if (r < 0)
		return r;
	r = renameat2(dir, tmp, dir, file, RENAME_NOREPLACE) < 0 ? -errno : 0;
	if (r < 0)
		unlinkat(dir, tmp, 0);
	return r;
}

int profile_create(const struct dirs *dirs, const char *name, const char *parent)
{
	_cleanup_buf_ struct buf b = BUF_INIT(POLICY_FILE_MAX);
	_cleanup_close_ int dir = -1;
	char file[80], path[PATH_MAX], other[PATH_MAX];
	struct policy_dirs first = { .admin = dirs->policy.admin };
	struct policy_dirs shipped = { .shipped = dirs->policy.shipped };
	int r;

	if (!file_name(name, file, sizeof(file)))
		return fail_name(name);
	if (parent && streq(parent, name))
		return profile_fail(0, "a profile cannot extend itself; take another name");
	if (policy_find(name, &first, other, sizeof(other)) == 0)
		return profile_fail(0, "%s would win over yours; take another name", other);
	template(&b, name, parent);
	snprintf(path, sizeof(path), "%s/%s", dirs->policy.user ? dirs->policy.user : "", file);
	if (b.failed || !good(dirs, path, &b))
		return 1;
	dir = open_user_dir(dirs);
	if (dir < 0)
		return fail_user_dir(dirs, dir);
	r = store_new(dir, file, &b);
	if (r == -EEXIST)
		return profile_fail(0, "%s is there already; `purple profile edit %s` changes it",
				    path, name);
	if (r < 0)
		return profile_fail(r, "cannot write %s", path);
	if (policy_find(name, &shipped, other, sizeof(other)) == 0)
		fprintf(stderr, "purple: profile: it takes the place of %s%s\n", other,
			parent ? "" : ", and has none of its settings");
	printf("%s\n", path);
	return fflush(stdout) == 0 ? 0 : profile_fail(errno, "cannot write");
}

/* A profile that is not the user's own: say what can be done. */
static int fail_not_own(const struct dirs *dirs, const char *name)
{
	char path[PATH_MAX];

	if (policy_find(name, &dirs->policy, path, sizeof(path)) < 0)
		return profile_fail(0, "there is no profile %s", name);
	return profile_fail(
		0, "%s is not yours; `purple profile create NAME --from %s` makes one that is",
		path, name);
}

/* Read a regular file of @dir, following no link. */
static int read_own(int dir, const char *file, struct buf *b)
{
	_cleanup_close_ int fd = openat(dir, file,
					O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? read_all(fd, b) : -EINVAL;
}

static const char *editor(void)
{
	static const char *const variables[] = { "VISUAL", "EDITOR" };

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *s = getenv(variables[i]);

		if (s && s[strspn(s, " \t")] != '\0')
			return s;
	}
	return "vi";
}

/* Run editor() on @path: words split at blanks, no shell. 0, -errno, or its status. */
static int run_editor(const char *path)
{
	_cleanup_free_ char *words = strdup(editor());
	char *argv[EDITOR_WORDS_MAX + 2], *save = NULL;
	int argc = 0, status;
	pid_t pid;

	if (!words)
		return -ENOMEM;
	for (char *w = strtok_r(words, " \t", &save); w && argc < EDITOR_WORDS_MAX;
	     w = strtok_r(NULL, " \t", &save))
		argv[argc++] = w;
	argv[argc++] = (char *)(uintptr_t)path;
	argv[argc] = NULL;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(EXIT_NOT_FOUND);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL_BASE + WTERMSIG(status);
}

/* The edited text of @tmp becomes @file, if it is good. */
static int take_edit(const struct dirs *dirs, int dir, const char *tmp, const char *file,
		     const struct buf *before)
{
	_cleanup_buf_ struct buf after = BUF_INIT(POLICY_FILE_MAX);
	char path[PATH_MAX];
	int r = read_own(dir, tmp, &after);

	if (r < 0)
		return profile_fail(r, "cannot read back what was edited");
	snprintf(path, sizeof(path), "%s/%s", dirs->policy.user, file);
	if (after.len == before->len &&
	    (!after.data || !before->data || memcmp(after.data, before->data, after.len) == 0)) {
		unlinkat(dir, tmp, 0);
		fputs("nothing was changed\n", stderr);
		return 0;
	}
	if (!good(dirs, path, &after)) {
		profile_fail(0, "not saved; your text is in %s/%s", dirs->policy.user, tmp);
		return 1;
	}
	r = write_file_atomic(dir, file, after.data, after.len, 0600);
	if (r < 0)
		return profile_fail(r, "cannot write %s; your text is in %s/%s", path,
				    dirs->policy.user, tmp);
	unlinkat(dir, tmp, 0);
	return 0;
}

int profile_edit(const struct dirs *dirs, const char *name)
{
	_cleanup_buf_ struct buf before = BUF_INIT(POLICY_FILE_MAX);
	_cleanup_close_ int dir = -1;
	char file[80], tmp[128], path[PATH_MAX];
	int r;

	if (!file_name(name, file, sizeof(file)))
		return fail_name(name);
	dir = open_user_dir(dirs);
	if (dir < 0)
		return fail_user_dir(dirs, dir);
	r = read_own(dir, file, &before);
	if (r == -ENOENT)
		return fail_not_own(dirs, name);
	if (r < 0)
		return profile_fail(r, "cannot read %s/%s", dirs->policy.user, file);
	/* The editor works on a copy: a faulty policy is never in force. */
	snprintf(tmp, sizeof(tmp), "%.64s.edit-%d.txt", name, (int)getpid());
	r = write_file_atomic(dir, tmp, before.data ? before.data : "", before.len, 0600);
	if (r < 0)
		return profile_fail(r, "cannot write %s/%s", dirs->policy.user, tmp);
	if (snprintf(path, sizeof(path), "%s/%s", dirs->policy.user, tmp) >= (int)sizeof(path))
		return profile_fail(ENAMETOOLONG, "%s", dirs->policy.user);
	r = run_editor(path);
	if (r == 0)
		return take_edit(dirs, dir, tmp, file, &before);
	unlinkat(dir, tmp, 0);
	if (r < 0)
		return profile_fail(r, "cannot start an editor");
	if (r == EXIT_NOT_FOUND)
		return profile_fail(0, "there is no editor %s; set VISUAL or EDITOR", editor());
	return profile_fail(0, "the editor ended with status %d; nothing was changed", r);
}

int profile_delete(const struct dirs *dirs, const char *name)
{
	_cleanup_close_ int dir = -1;
	char file[80];

	if (!file_name(name, file, sizeof(file)))
		return fail_name(name);
	dir = open_user_dir(dirs);
	if (dir < 0)
		return fail_user_dir(dirs, dir);
	if (unlinkat(dir, file, 0) == 0)
		return 0;
	if (errno == ENOENT)
		return fail_not_own(dirs, name);
	return profile_fail(errno, "cannot remove %s/%s", dirs->policy.user, file);
}
