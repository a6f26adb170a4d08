/* SPDX-License-Identifier: Apache-2.0 */
/* Trees for the tests of workspace/: a lower directory, layers, and overlays of them. */
#ifndef PURPLE_TEST_LAYER_TEST_H
#define PURPLE_TEST_LAYER_TEST_H

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "workspace/layer.h"

struct trees {
	char top[64]; /* lower, 1, 2, … (layers, oldest first), work, merged */
	int host, layers[8];
	unsigned count;
};

/* A shell's script in @dir. Its exit status. */
static inline int shell(const char *dir, const char *script)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (chdir(dir) < 0)
			_exit(99);
		execl("/bin/sh", "sh", "-ec", script, NULL);
		_exit(98);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static inline void trees_make(struct trees *t, const char *lower)
{
	char path[128];

	memset(t, 0, sizeof(*t));
	snprintf(t->top, sizeof(t->top), "/tmp/purple-layers-XXXXXX");
	assert_non_null(mkdtemp(t->top));
	assert_int_equal(shell(t->top, "umask 022; mkdir lower work merged"), 0);
	snprintf(path, sizeof(path), "%s/lower", t->top);
	t->host = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->host >= 0);
	assert_int_equal(shell(path, lower), 0);
}

/* A new layer, that is then the first. */
static inline void trees_layer(struct trees *t)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u", t->top, t->count + 1);
	assert_int_equal(mkdir(path, 0755), 0);
	chmod(path, 0755);
	memmove(t->layers + 1, t->layers, sizeof(t->layers) - sizeof(t->layers[0]));
	t->layers[0] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->layers[0] >= 0);
	t->count++;
}

/* By hand: the script runs in a new layer itself. */
static inline void trees_by_hand(struct trees *t, const char *script)
{
	char path[128];

	trees_layer(t);
	snprintf(path, sizeof(path), "%s/%u", t->top, t->count);
	assert_int_equal(shell(path, script), 0);
}

static inline void write_map(const char *file, unsigned id)
{
	char line[32];
	int fd = open(file, O_WRONLY | O_CLOEXEC), n;

	n = snprintf(line, sizeof(line), "0 %u 1", id);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		_exit(77);
	close(fd);
}

/*
 * The script runs in an overlay of all that there is, with a new layer on top, in a
 * user namespace, as a sandbox without root has it. False: not to be had here.
 */
static inline bool trees_overlay(struct trees *t, const char *script)
{
	char options[1024], path[128];
	unsigned uid = getuid(), gid = getgid();
	size_t n;
	int status;
	pid_t pid;

	trees_layer(t);
	n = (size_t)snprintf(options, sizeof(options), "userxattr,lowerdir=");
	for (unsigned i = t->count - 1; i > 0; i--)
		n += (size_t)snprintf(options + n, sizeof(options) - n, "%s/%u:", t->top, i);
	snprintf(options + n, sizeof(options) - n, "%s/lower,upperdir=%s/%u,workdir=%s/work",
		 t->top, t->top, t->count, t->top);
	snprintf(path, sizeof(path), "%s/merged", t->top);
	pid = fork();
	if (pid == 0) {
		int fd;

		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(77);
		fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "deny", 4) != 4)
			_exit(77);
		write_map("/proc/self/uid_map", uid);
		write_map("/proc/self/gid_map", gid);
		if (mount("overlay", path, "overlay", 0, options) < 0 || chdir(path) < 0)
			_exit(77);
		execl("/bin/sh", "sh", "-ec", script, NULL);
		_exit(98);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return false;
	assert_int_equal(status, 0);
	return true;
}

static inline struct layer_stack trees_stack(const struct trees *t)
{
	return (struct layer_stack){ .host = t->host, .layers = t->layers, .count = t->count };
}

static inline void trees_remove(struct trees *t)
{
	close(t->host);
	for (unsigned i = 0; i < t->count; i++)
		close(t->layers[i]);
	assert_int_equal(shell("/", "true"), 0);
	if (t->top[0]) {
		char script[256];

		snprintf(script, sizeof(script), "chmod -R u+rwX %s; rm -rf %s", t->top, t->top);
		assert_int_equal(shell("/", script), 0);
	}
}

#endif
