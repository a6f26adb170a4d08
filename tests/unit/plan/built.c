/* SPDX-License-Identifier: Apache-2.0 */
#include "built.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/keys.h"

/* The host: what is not here is absent. */
static const struct entry {
	const char *path;
	enum host_kind kind;
	const char *link, *real; /* HK_SYMLINK; real NULL: it leads nowhere */
	enum host_kind target;
} host_entries[] = {
	{ "/", HK_DIR },
	{ "/usr", HK_DIR },
	{ "/bin", HK_SYMLINK, "usr/bin", "/usr/bin", HK_DIR },
	{ "/sbin", HK_SYMLINK, "usr/sbin", "/usr/sbin", HK_DIR },
	{ "/lib", HK_SYMLINK, "usr/lib", "/usr/lib", HK_DIR },
	{ "/lib64", HK_SYMLINK, "usr/lib64", "/usr/lib64", HK_DIR },
	{ "/opt", HK_DIR },
	{ "/etc", HK_DIR },
	{ "/etc/alternatives", HK_DIR },
	{ "/etc/gitconfig", HK_FILE },
	{ "/etc/java-17-openjdk", HK_DIR },
	{ "/etc/ld.so.cache", HK_FILE },
	{ "/etc/passwd", HK_FILE },
	{ "/etc/pki", HK_SYMLINK, "../nowhere", NULL },
	{ "/etc/shadow", HK_FILE },
	{ "/etc/ssl", HK_SYMLINK, "/opt/ssl", "/opt/ssl", HK_DIR },
	{ "/home/u", HK_DIR },
	{ "/home/u/.claude", HK_DIR },
	{ "/home/u/.claude.json", HK_FILE },
	{ "/home/u/.gitconfig", HK_SYMLINK, "dot/gitconfig", "/home/u/dot/gitconfig", HK_FILE },
	{ "/home/u/.nvm/versions", HK_DIR },
	{ "/home/u/fifo", HK_OTHER, NULL, "/home/u/fifo", HK_OTHER },
	{ "/home/u/to-proc", HK_SYMLINK, "/proc", "/proc", HK_DIR },
	{ "/home/u/to-purple", HK_SYMLINK, ".config/purple", "/home/u/.config/purple", HK_DIR },
	{ "/home/u/to-nowhere", HK_SYMLINK, "none", NULL },
	{ "/srv/data", HK_DIR },
	{ "/srv/link", HK_SYMLINK, "data", "/srv/data", HK_DIR },
	{ "/home/u/link", HK_SYMLINK, "/srv/data", "/srv/data", HK_DIR },
	{ "/proc/keys", HK_FILE },
	{ "/proc/kcore", HK_FILE },
	{ "/proc/scsi", HK_DIR },
	{ "/proc/timer_list", HK_FILE },
	{ "/sys/firmware", HK_DIR },
	{ "/sys/kernel", HK_DIR },
};

static int look(void *ctx, const char *path, struct host_path *ret)
{
	const struct fault *fault = ctx;

	memset(ret, 0, sizeof(*ret));
	if (fault && fault->look && streq(path, fault->look))
		return -EIO;
	for (size_t i = 0; i < ARRAY_SIZE(host_entries); i++) {
		const struct entry *n = &host_entries[i];
		bool link = n->kind == HK_SYMLINK;

		if (!streq(n->path, path))
			continue;
		ret->kind = n->kind;
		ret->target = n->target ? n->target : link ? HK_ABSENT : n->kind;
		ret->mtime = 1000 + (int64_t)i;
		ret->identity = 7000 + i;
		if (link)
			assert_true(str_copy(ret->link, sizeof(ret->link), n->link));
		if (n->real || !link)
			assert_true(
				str_copy(ret->real, sizeof(ret->real), n->real ? n->real : path));
		break;
	}
	return 0;
}

static int list(void *ctx, const char *path, void (*fn)(void *arg, const char *name), void *arg)
{
	const struct fault *fault = ctx;
	size_t n = strlen(path);

	if (fault && fault->list)
		return -EACCES;
	for (size_t i = 0; i < ARRAY_SIZE(host_entries); i++)
		if (strncmp(host_entries[i].path, path, n) == 0 && host_entries[i].path[n] == '/' &&
		    !strchr(host_entries[i].path + n + 1, '/'))
			fn(arg, host_entries[i].path + n + 1);
	return 0;
}

static int try_network(void *ctx, const void *batch, size_t size, bool *v6)
{
	*v6 = true;
	return 0;
}

struct host a_user(void)
{
	return (struct host){ .uid = 1000,
			      .gid = 1000,
			      .user = "u",
			      .home = "/home/u",
			      .state = "/home/u/.local/state/purple",
			      .landlock_abi = 7,
			      .namespaces = ALL_NAMESPACES,
			      .look = look,
			      .list = list,
			      .try_network = try_network };
}

struct host a_root(void)
{
	struct host h = a_user();

	h.uid = h.gid = 0;
	h.user = "root";
	h.root = true;
	return h;
}

const uint8_t a_key[32] = { 1, 2, 3 };

void build_bytes(struct built *t, const char *name, const void *data, size_t len,
		 const struct host *h)
{
	struct diags d = DIAGS_INIT;
	struct policy p;
	const char *why = "";

	*t = (struct built){ .block = BUF_INIT(PLAN_MAX) };
	if (policy_parse(&p, name, data, len, NULL, &d) < 0 || policy_validate(&p, &d) < 0)
		fail_msg("%s", d.text.data);
	if (plan_build(&p, h, a_key, &t->block, &t->e) == 0) {
		assert_int_equal(t->e.code, 0);
		t->plan = plan_open(t->block.data, t->block.len, &why);
		if (!t->plan)
			fail_msg("a bad plan was built: %s", why);
	} else {
		assert_int_not_equal(t->e.code, 0);
		assert_int_equal(t->e.exit_code, EXIT_PURPLE);
	}
	policy_free(&p);
	diags_free(&d);
}

void build(struct built *t, const char *text, const struct host *h)
{
	build_bytes(t, "p.yaml", text, strlen(text), h);
}

void done(struct built *t)
{
	buf_free(&t->block);
}

void expect_refused(const char *text, const struct host *h, const char *words, const char *remedy)
{
	struct built t;

	build(&t, text, h);
	if (t.plan)
		fail_msg("accepted, but not '%s': %s", words, text);
	if (!strstr(t.e.message, words))
		fail_msg("'%s' is not in: %s", words, t.e.message);
	if (remedy && !strstr(t.e.remedy, remedy))
		fail_msg("'%s' is not in: %s", remedy, t.e.remedy);
	done(&t);
}
