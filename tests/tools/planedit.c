/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planedit IN OUT OP…: change a compiled plan, for tests.
 * planedit --json IN: print one.
 *
 * A test must be able to switch a layer off, and the product must not: so the
 * tests change the data that the launcher reads, and the launcher does as the
 * plan says. OUT has the key of IN and a right checksum, and is checked as the
 * launcher checks it.
 *
 *	off:user … off:seccomp     a layer, and what cannot be done without it
 *	off:step:NAME              one of enum plan_steps
 *	off:hide                   what the policy hides is not looked for
 *	off:hostname               the name stays that of the uts namespace
 *	drop-mount:TARGET          and what is mounted below it
 *	set-mount-flags:TARGET:-ro,+noexec
 *	key:HEX                    file it under another key
 * TARGET "." is the workspace.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "base/str.h"
#include "plan/plan.h"
#include "plan/print.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static union {
	struct plan p;
	char bytes[PLAN_MAX];
} block;

struct name {
	const char *name;
	uint64_t bits;
};

static const struct name namespaces[] = {
	{ "user", CLONE_NEWUSER }, { "pid", CLONE_NEWPID },	  { "mount", CLONE_NEWNS },
	{ "net", CLONE_NEWNET },   { "ipc", CLONE_NEWIPC },	  { "uts", CLONE_NEWUTS },
	{ "time", CLONE_NEWTIME }, { "cgroup", CLONE_NEWCGROUP },
};

static const struct name steps[] = {
	{ "KEYRING", STEP_KEYRING },
	{ "LOOPBACK", STEP_LOOPBACK },
	{ "NO_NESTING", STEP_NO_NESTING },
	{ "NEW_SESSION", STEP_NEW_SESSION },
	{ "PTY", STEP_PTY },
	{ "CLOSE_FDS", STEP_CLOSE_FDS },
};

static const struct name flags[] = {
	{ "ro", PMF_RDONLY },
	{ "nosuid", PMF_NOSUID },
	{ "nodev", PMF_NODEV },
	{ "noexec", PMF_NOEXEC },
};

static uint64_t lookup(const struct name *names, size_t count, const char *name, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(names[i].name) == n && memcmp(names[i].name, name, n) == 0)
			return names[i].bits;
	return 0;
}

static struct plan_mount *mounts(void)
{
	return (struct plan_mount *)(void *)(block.bytes + block.p.mounts.off);
}

/*
 * Without these a namespace cannot be missing: they would reach the host's. The
 * kind of id map stays, since the launcher asks it whether the caller was root.
 */
static void without_namespace(uint64_t flag)
{
	struct plan *p = &block.p;

	p->namespaces &= ~flag;
	if (flag == CLONE_NEWNET) {
		p->steps &= ~(uint32_t)STEP_LOOPBACK;
		p->network = (struct plan_network){ 0 };
	}
	if (flag == CLONE_NEWUTS)
		p->hostname = (struct plan_str){ 0 };
	if (flag != CLONE_NEWUSER)
		return;
	p->steps &= ~(uint32_t)(STEP_NO_NESTING | STEP_BOUND_INOTIFY);
	for (uint32_t i = 0; i < p->mounts.count; i++)
		mounts()[i].flags &= ~(uint32_t)(PMF_IDMAP | PMF_OUTSIDE);
}

/* Where one of the two that hold it is gone, the workspace is as if nobody had asked. */
static void without_protect(void)
{
	block.p.protect = (struct plan_table){ 0 };
	for (uint32_t i = 0; i < block.p.mounts.count; i++)
		mounts()[i].flags &= ~(uint32_t)PMF_PROTECT;
}

static bool switch_off(const char *what)
{
	struct plan *p = &block.p;
	const char *step = str_after(what, "step:");
	uint64_t bits = lookup(namespaces, ARRAY_SIZE(namespaces), what, strlen(what));

	if (bits) {
		without_namespace(bits);
	} else if (step) {
		bits = lookup(steps, ARRAY_SIZE(steps), step, strlen(step));
		p->steps &= ~(uint32_t)bits;
		return bits != 0;
	} else if (streq(what, "capabilities")) {
		p->steps &= ~(uint32_t)STEP_DROP_CAPS;
		p->securebits = 0;
	} else if (streq(what, "no_new_privs")) {
		p->steps &= ~(uint32_t)STEP_NO_NEW_PRIVS;
	} else if (streq(what, "landlock")) {
		p->landlock_fs = p->landlock_net = p->landlock_scoped = p->landlock_root = 0;
		without_protect();
	} else if (streq(what, "seccomp")) {
		p->filter = p->observer = (struct plan_table){ 0 };
		without_protect();
	} else if (streq(what, "hide")) {
		p->hide = (struct plan_table){ 0 };
	} else if (streq(what, "hostname")) {
		p->hostname = (struct plan_str){ 0 };
	} else {
		return false;
	}
	return true;
}

/* Is @m at the place that is @n bytes of @target, or below it? */
static bool is_at(const struct plan_mount *m, const char *target, size_t n, bool below)
{
	const char *at = plan_string(&block.p, m->target);

	if (m->kind == PM_WORKSPACE)
		at = ".";
	return strncmp(at, target, n) == 0 && (at[n] == '\0' || (below && at[n] == '/'));
}

static bool drop_mount(const char *target)
{
	struct plan_mount *m = mounts();
	uint32_t kept = 0, count = block.p.mounts.count;

	for (uint32_t i = 0; i < count; i++)
		if (!is_at(&m[i], target, strlen(target), true))
			m[kept++] = m[i];
	block.p.mounts.count = kept;
	return kept < count;
}

/* TARGET:-ro,+noexec */
static bool set_flags(const char *arg)
{
	const char *colon = strrchr(arg, ':');
	struct plan_mount *m = mounts();
	bool found = false;

	if (!colon)
		return false;
	for (uint32_t i = 0; i < block.p.mounts.count; i++) {
		if (!is_at(&m[i], arg, (size_t)(colon - arg), false))
			continue;
		for (const char *s = colon + 1; *s;) {
			size_t n = strcspn(s, ",");
			uint64_t bit = n > 1 ? lookup(flags, ARRAY_SIZE(flags), s + 1, n - 1) : 0;

			if (!bit || (*s != '-' && *s != '+'))
				return false;
			m[i].flags = (uint32_t)(*s == '+' ? m[i].flags | bit : m[i].flags & ~bit);
			s += s[n] ? n + 1 : n;
		}
		found = true;
	}
	return found;
}

static bool set_key(const char *hex)
{
	if (strlen(hex) != 2 * sizeof(block.p.key))
		return false;
	for (size_t i = 0; i < sizeof(block.p.key); i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' }, *end;

		block.p.key[i] = (uint8_t)strtoul(digits, &end, 16);
		if (*end)
			return false;
	}
	return true;
}

static bool apply(const char *op)
{
	const char *arg;

	if ((arg = str_after(op, "off:")))
		return switch_off(arg);
	if ((arg = str_after(op, "drop-mount:")))
		return drop_mount(arg);
	if ((arg = str_after(op, "set-mount-flags:")))
		return set_flags(arg);
	if ((arg = str_after(op, "key:")))
		return set_key(arg);
	return false;
}

static bool check(const char *path)
{
	const char *why = "";

	if (plan_open(block.bytes, block.p.size, &why))
		return true;
	fprintf(stderr, "planedit: %s: %s\n", path, why);
	return false;
}

static bool load(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, block.bytes, sizeof(block.bytes));

	if (n < 0)
		perror(path);
	return n >= (ssize_t)sizeof(struct plan) && check(path);
}

static int print(const char *path)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4 << 20);

	if (!load(path))
		return 1;
	plan_print_json(&block.p, &b);
	return b.failed || write_full(STDOUT_FILENO, b.data, b.len) < 0;
}

int main(int argc, char **argv)
{
	_cleanup_close_ int fd = -1;

	if (argc == 3 && streq(argv[1], "--json"))
		return print(argv[2]);
	if (argc < 3) {
		fprintf(stderr, "usage: planedit IN OUT OP… | planedit --json IN\n");
		return 2;
	}
	if (!load(argv[1]))
		return 1;
	for (int i = 3; i < argc; i++) {
		if (!apply(argv[i])) {
			fprintf(stderr, "planedit: %s: does not apply\n", argv[i]);
			return 1;
		}
	}
	block.p.checksum = plan_checksum(block.bytes, block.p.size);
	if (!check(argv[2]))
		return 1;
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write_full(fd, block.bytes, block.p.size) < 0) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
