/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_profile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "plan/filter.h"
#include "policy/keys.h"

enum { OUTPUT_MAX = 16 << 20, PROFILES_MAX = 1024 };

int profile_fail(int code, const char *fmt, ...)
{
	struct err e = { 0 };
	char message[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	/* EPROTO: the message says it all. */
	err_set(&e, code ? code : EPROTO, "profile", "%s", message);
	err_print(&e);
	return EXIT_PURPLE;
}

/* What was gathered goes out in one piece. */
static int put_out(const struct buf *out, int status)
{
	int r = out->failed ? -ENOMEM
			    : write_full(STDOUT_FILENO, out->data ? out->data : "", out->len);

	return r < 0 ? profile_fail(r, "cannot write") : status;
}

static void put_diags(const struct diags *d)
{
	int r = write_full(STDERR_FILENO, d->text.data ? d->text.data : "", d->text.len);

	(void)r; /* a closed stderr leaves only the exit status */
}

struct found {
	char name[65];
	const char *origin; /* "yours" … */
	const char *dir;
};

struct found_list {
	struct found items[PROFILES_MAX];
	size_t count;
};

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static bool listed(const struct found_list *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (streq(all->items[i].name, name))
			return true;
	return false;
}

/* Add the profiles of @dir that no earlier directory has. 0, or EXIT_PURPLE and why. */
static int scan(struct found_list *all, const char *dir, const char *origin)
{
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	if (dir && !d && errno != ENOENT && errno != ENOTDIR)
		return profile_fail(errno, "cannot read %.300s%s", dir,
				    errno == EACCES ? " (is HOME or XDG_CONFIG_HOME that of "
						      "another user?)"
						    : "");
	while (d && (e = readdir(d)) && all->count < PROFILES_MAX) {
		struct found *f = &all->items[all->count];
		size_t n = strlen(e->d_name);

		if (n < 6 || n - 5 >= sizeof(f->name) || !streq(e->d_name + n - 5, ".yaml"))
			continue;
		memcpy(f->name, e->d_name, n - 5);
		f->name[n - 5] = '\0';
		if (!policy_name_ok(f->name) || listed(all, f->name))
			continue;
		f->origin = origin;
		f->dir = dir;
		all->count++;
	}
	return 0;
}

static int do_list(const struct dirs *dirs)
{
	_cleanup_free_ struct found_list *all = calloc(1, sizeof(*all));
	_cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);

	if (!all)
		return profile_fail(ENOMEM, "cannot list");
	/* One that cannot be read might come before the others: no list without it. */
	if (scan(all, dirs->policy.admin, "administrator's") ||
	    scan(all, dirs->policy.user, "yours") || scan(all, dirs->policy.shipped, "shipped"))
		return EXIT_PURPLE;
	qsort(all->items, all->count, sizeof(all->items[0]), by_name);
	for (size_t i = 0; i < all->count; i++) {
		const struct found *f = &all->items[i];
		_cleanup_diags_ struct diags d = DIAGS_INIT;
		_cleanup_policy_ struct policy p;
		int r = policy_load(&p, f->name, &dirs->policy, &d);

		if (r == 0)
			r = policy_validate(&p, &d);
		buf_printf(&out, "%-20s %-16s", f->name, f->origin);
		if (r < 0)
			buf_printf(&out, " faulty: see `purple profile check %s`\n", f->name);
		else
			buf_printf(&out, " %s\n", p.description.s ? p.description.s : "");
	}
	return put_out(&out, 0);
}

/* The files of a profile as they are, the parents after the child. */
static int do_show(const struct dirs *dirs, const char *name)
{
	_cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;
	int r = policy_load(&p, name, &dirs->policy, &d);

	put_diags(&d);
	for (size_t i = 0; i < p.sources_count; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(POLICY_FILE_MAX);

		buf_printf(&out, "%s# %s\n", i > 0 ? "\n" : "", p.sources[i].path);
		if (read_file_at(AT_FDCWD, p.sources[i].path, &b) == 0)
			buf_add(&out, b.data ? b.data : "", b.len);
	}
	return put_out(&out, r < 0 ? 1 : 0);
}

static int do_check(const struct dirs *dirs, int count, char **what)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		_cleanup_diags_ struct diags d = DIAGS_INIT;
		_cleanup_policy_ struct policy p;
		char path[PATH_MAX];
		struct stat st;
		bool here;
		int r, names;

		/* A word can be a profile or a file of this directory. */
		here = !strchr(what[i], '/') && stat(what[i], &st) == 0 && S_ISREG(st.st_mode) &&
		       snprintf(path, sizeof(path), "./%s", what[i]) < (int)sizeof(path);
		r = policy_load(&p, here ? path : what[i], &dirs->policy, &d);
		if (r == 0)
			r = policy_validate(&p, &d);
		/* Each start says it too, from the plan. */
		if (p.network.share_host)
			diag_warn(&d, policy_where(&p, "network.share_host"), "network.share_host",
				  "the command may connect to all that this host reaches, its own "
				  "loopback too; no rule of network holds it");
		names = filter_check(&p, &d);
		put_diags(&d);
		if (r < 0 || names < 0)
			status = 1;
		else
			printf("%s: good%s\n", what[i], d.warnings ? ", with warnings" : "");
	}
	return fflush(stdout) == 0 ? status : profile_fail(errno, "cannot write");
}

static int do_explain(const char *key)
{
	_cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);
	const struct policy_key *near;

	if (profile_explain(key, &out) == 0)
		return put_out(&out, 0);
	near = policy_key_nearest(key);
	return profile_fail(0, "there is no key %.100s%s%s%s", key, near ? "; did you mean " : "",
			    near ? near->path : "", near ? "?" : "");
}

static int do_man(void)
{
	_cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);

	profile_man(&out);
	return put_out(&out, 0);
}

enum verb { LIST, SHOW, EXPLAIN, CHECK, CREATE, EDIT, DELETE, MAN, VERBS };

static const struct {
	const char *name, *args, *help;
	int min, max; /* arguments; create's --from counts as two */
} verbs[VERBS] = {
	[LIST] = { "list", "", "the profiles that are there", 0, 0 },
	[SHOW] = { "show", "NAME", "the files of one", 1, 1 },
	[EXPLAIN] = { "explain", "[KEY]", "what a policy may say: all, a section, or one key", 0,
		      1 },
	[CHECK] = { "check", "FILE...", "every fault of policy files or profiles", 1, INT_MAX },
	[CREATE] = { "create", "NAME [--from PARENT]", "a new one of your own", 1, 3 },
	[EDIT] = { "edit", "NAME", "change one of your own, with $VISUAL or $EDITOR", 1, 1 },
	[DELETE] = { "delete", "NAME", "remove one of your own", 1, 1 },
	[MAN] = { "man", "", "the manual page purple-policy(5)", 0, 0 },
};

static int usage(FILE *to)
{
	fputs("usage: purple profile COMMAND\n\n", to);
	for (int i = 0; i < VERBS; i++)
		fprintf(to, "  %-8s %-22s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	return fflush(to) == 0 && to == stdout ? 0 : EXIT_PURPLE;
}

static int do_create(const struct dirs *dirs, int argc, char **argv)
{
	const char *name = NULL, *parent = NULL;

	for (int i = 0; i < argc; i++) {
		const char *value = str_after(argv[i], "--from=");

		if (value)
			parent = value;
		else if (streq(argv[i], "--from") && i + 1 < argc)
			parent = argv[++i];
		else if (argv[i][0] == '-' || name)
			return profile_fail(0, "unexpected argument %.100s", argv[i]);
		else
			name = argv[i];
	}
	return name ? profile_create(dirs, name, parent) : usage(stderr);
}

static int dispatch(enum verb verb, const struct dirs *dirs, int argc, char **argv)
{
	switch (verb) {
	case LIST:
		return do_list(dirs);
	case SHOW:
		return do_show(dirs, argv[0]);
	case CHECK:
		return do_check(dirs, argc, argv);
	case CREATE:
		return do_create(dirs, argc, argv);
	case EDIT:
		return profile_edit(dirs, argv[0]);
	case DELETE:
		return profile_delete(dirs, argv[0]);
	default:
		return usage(stderr);
	}
}

int cmd_profile(int argc, char **argv)
{
	struct dirs dirs;
	enum verb verb;
	int r;

	if (argc >= 2 && (streq(argv[1], "--help") || streq(argv[1], "-h")))
		return usage(stdout);
	for (verb = 0; verb < VERBS; verb++)
		if (argc >= 2 && streq(argv[1], verbs[verb].name))
			break;
	if (argc >= 2 && verb == VERBS)
		profile_fail(0, "there is no command %.100s", argv[1]);
	if (verb == VERBS || argc - 2 < verbs[verb].min || argc - 2 > verbs[verb].max)
		return usage(stderr);
	/* These two know the table only, and work from where they were built. */
	if (verb == EXPLAIN)
		return do_explain(argc > 2 ? argv[2] : "");
	if (verb == MAN)
		return do_man();
	r = dirs_init(&dirs);
	if (r < 0)
		return profile_fail(r, "cannot find Purple's own files beside this program");
	return dispatch(verb, &dirs, argc - 2, argv + 2);
}
