/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_scope.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE MANAGER ".Manager"

enum { LIMIT_US = 5000000 };

struct ask {
	sd_bus *bus;
	const char *sender; /* of signals; NULL: there is only one at the other end */
	const char *id;
	uint32_t pid;
	char unit[64];
	char job[256]; /* object path, "": systemd has not answered yet */
	bool over;
	char why[256]; /* "": no error */
};

/* The first reason stays. Returns -EPROTO. */
_printf_(2, 3) static int fail(struct ask *a, const char *fmt, ...)
{
	va_list ap;

	if (a->why[0] == '\0') {
		va_start(ap, fmt);
		vsnprintf(a->why, sizeof(a->why), fmt, ap);
		va_end(ap);
	}
	a->over = true;
	return -EPROTO;
}

static int on_reply(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const sd_bus_error *refusal = sd_bus_message_get_error(m);
	struct ask *a = arg;
	const char *job;

	/* It, or the bus between, has gone. */
	if (refusal && sd_bus_error_has_name(refusal, SD_BUS_ERROR_NO_REPLY))
		fail(a, "systemd has not answered: %s", refusal->message);
	else if (refusal)
		fail(a, "%s", refusal->message ? refusal->message : refusal->name);
	else if (sd_bus_message_read(m, "o", &job) < 0 || !str_copy(a->job, sizeof(a->job), job))
		fail(a, "systemd gave an answer that is no job");
	return 0;
}

/* Comes behind the answer: a bus keeps the order of what one peer sends. */
static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *job, *unit, *result;
	struct ask *a = arg;
	uint32_t id;

	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0 || !streq(job, a->job))
		return 0;
	if (!streq(result, "done"))
		fail(a, "systemd could not start %s: %s", a->unit, result);
	a->over = true;
	return 0;
}

/* "unix:path=" and @path, with everything but the harmless escaped. */
static bool write_address(char *out, size_t size, const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_/.\\";
	size_t n = (size_t)snprintf(out, size, "unix:path=");

	for (; *path; path++) {
		if (n + 4 > size)
			return false;
		n += (size_t)snprintf(out + n, size - n, strchr(plain, *path) ? "%c" : "%%%02x",
				      (unsigned char)*path);
	}
	return true;
}

/* Begin to connect to the socket @name of $XDG_RUNTIME_DIR. 0 or -errno. */
static int connect_to(struct ask *a, const char *name, bool is_bus)
{
	char path[PATH_MAX], address[3 * PATH_MAX];
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int r;

	if (!runtime)
		return -ENOENT;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", runtime, name) >= sizeof(path) ||
	    !write_address(address, sizeof(address), path))
		return -ENAMETOOLONG;
	r = sd_bus_new(&a->bus);
	if (r >= 0)
		r = sd_bus_set_address(a->bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(a->bus, is_bus);
	if (r >= 0)
		r = sd_bus_start(a->bus);
	if (r < 0)
		a->bus = sd_bus_unref(a->bus);
	a->sender = is_bus ? MANAGER : NULL;
	return r < 0 ? r : 0;
}

/* To a systemd of another PID namespace the number would mean another process. */
static bool is_elsewhere(sd_bus *bus)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(sd_bus_get_fd(bus), SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       peer.pid == 0;
}

static int open_bus(struct ask *a)
{
	int r = connect_to(a, "bus", true);

	if (r < 0 && connect_to(a, "systemd/private", false) < 0)
		return fail(a, "connect to $XDG_RUNTIME_DIR/bus: %s", strerror(-r));
	if (is_elsewhere(a->bus))
		return fail(a, "the systemd of this user is in another PID namespace");
	return 0;
}

static int send_request(struct ask *a)
{
	sd_bus_message *m = NULL;
	char description[64];
	int r;

	snprintf(description, sizeof(description), "Purple sandbox %s", a->id);
	r = sd_bus_match_signal_async(a->bus, NULL, a->sender, MANAGER_PATH, MANAGER_INTERFACE,
				      "JobRemoved", on_job_removed, NULL, a);
	if (r >= 0)
		r = sd_bus_message_new_method_call(a->bus, &m, MANAGER, MANAGER_PATH,
						   MANAGER_INTERFACE, "StartTransientUnit");
	/* clang-format off */
	if (r >= 0)
		r = sd_bus_message_append(m, "ssa(sv)a(sa(sv))", a->unit, "fail",
			4, "Description", "s", description,
			   "PIDs", "au", 1, a->pid,
			   "Delegate", "b", 1,
			   /* A failed one would be remembered until somebody resets it. */
			   "CollectMode", "s", "inactive-or-failed",
			0);
	/* clang-format on */
	if (r >= 0)
		r = sd_bus_call_async(a->bus, NULL, m, on_reply, a, 2 * LIMIT_US);
	sd_bus_message_unref(m);
	return r < 0 ? fail(a, "ask systemd: %s", strerror(-r)) : 0;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static const char *lacking(const struct ask *a)
{
	return a->job[0] != '\0' ? "done it" : "answered";
}

/* Connecting, asking and waiting are all done here, so that one limit holds for all. */
static void converse(struct ask *a)
{
	uint64_t end = now_us() + LIMIT_US, now;
	int r = 1;

	while (!a->over) {
		now = now_us();
		if (now >= end) {
			fail(a, "systemd has not %s within %d s", lacking(a), LIMIT_US / 1000000);
			return;
		}
		if (r == 0)
			r = sd_bus_wait(a->bus, end - now);
		if (r >= 0)
			r = sd_bus_process(a->bus, NULL);
		if (r < 0 && r != -EINTR)
			fail(a, "systemd has not %s: %s", lacking(a), strerror(-r));
	}
}

int cmd_scope(int argc, char **argv)
{
	struct ask a = { 0 };
	uint64_t pid;

	if (argc != 3 || parse_u64(argv[2], &pid) < 0 || strlen(argv[1]) > 32 ||
	    argv[1][strspn(argv[1], "abcdefghijklmnopqrstuvwxyz0123456789")] != '\0' ||
	    argv[1][0] == '\0') {
		fprintf(stderr, "usage: purple-scope ID PID\n");
		return 2;
	}
	a.id = argv[1];
	a.pid = (uint32_t)pid;
	snprintf(a.unit, sizeof(a.unit), "purple-%s.scope", a.id);
	/* If it has died, its number may be another's soon. */
	if (pid != (uint64_t)getppid())
		fail(&a, "the process %s is not the one that asks", argv[2]);
	else if (open_bus(&a) == 0 && send_request(&a) == 0)
		converse(&a);
	sd_bus_close_unref(a.bus);
	if (a.why[0] == '\0')
		return 0;
	printf("%s\n", a.why);
	return 1;
}
