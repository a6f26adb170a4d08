/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/macros.h"

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void relay_init(struct relay *r, int fd, const struct trace_config *config)
{
	r->fd = fd;
	r->flags = config->flags;
	r->workspace = config->workspace;
	r->workspace_len = strlen(config->workspace);
	r->len = sizeof(r->packet.head);
}

int relay_send(struct relay *r, enum trace_message_type type)
{
	ssize_t n;

	r->packet.head = (struct trace_head){ .type = type, .lost = r->lost };
	do
		n = sendto(r->fd, &r->packet, r->len, MSG_NOSIGNAL, NULL, 0);
	while (n < 0 && errno == EINTR);
	r->lost = 0;
	r->len = sizeof(r->packet.head);
	return n < 0 ? -errno : 0;
}

static const char *path_of(const struct trace_record *t)
{
	return (const char *)(t + 1);
}

static bool is_below_workspace(const struct relay *r, const struct trace_record *t)
{
	const char *path = path_of(t);
	size_t len = r->workspace_len;

	return len && t->path_len >= len && memcmp(path, r->workspace, len) == 0 &&
	       (t->path_len == len || path[len] == '/');
}

static void remember(struct relay *r, const struct trace_record *t)
{
	unsigned at = t->pid % RELAY_PROCESSES;

	r->processes[at].pid = t->path_len <= RELAY_PATH_MAX ? t->pid : 0;
	r->processes[at].len = t->path_len;
	if (t->path_len <= RELAY_PATH_MAX)
		memcpy(r->processes[at].path, path_of(t), t->path_len);
}

/* Two last threads that end at once each see no other. */
static bool is_told(struct relay *r, const struct trace_record *t)
{
	if (!(t->flags & TRF_THREADS))
		return false;
	for (unsigned i = 0; i < RELAY_EXITS; i++)
		if (r->exits[i] == t->pid)
			return true;
	r->exits[r->exits_next++ % RELAY_EXITS] = t->pid;
	return false;
}

static uint32_t padded(uint32_t len)
{
	return (len + 7) & ~7u;
}

static void put(struct relay *r, const struct trace_record *t, const char *text, size_t len)
{
	char *to = (char *)&r->packet + r->len;
	struct trace_record head = *t;

	head.size = padded((uint32_t)(sizeof(head) + len));
	head.time += r->clock;
	memset(to + head.size - 8, 0, 8);
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), text, len);
	r->len += head.size;
}

static void put_exit(struct relay *r, const struct trace_record *t)
{
	unsigned at = t->pid % RELAY_PROCESSES;
	struct trace_record head = *t;

	if (r->processes[at].pid != t->pid) {
		put(r, t, path_of(t), t->path_len);
		return;
	}
	head.path_len = r->processes[at].len;
	r->processes[at].pid = 0;
	put(r, &head, r->processes[at].path, head.path_len);
}

int relay_record(void *arg, void *record, size_t size)
{
	const struct trace_record *t = record;
	struct relay *r = arg;
	size_t text = size < sizeof(*t) ? 0 : (size_t)t->path_len + t->base_len + t->args_len;
	int error;

	if (size < sizeof(*t) || sizeof(*t) + text > size)
		return 0;
	if (t->kind == TRACE_EXEC)
		remember(r, t);
	if (t->kind == TRACE_EXIT && is_told(r, t))
		return 0;
	if (t->kind == TRACE_OPEN && !(r->flags & TRACE_OPENS) && is_below_workspace(r, t))
		return 0;
	if (r->len + sizeof(*t) + padded((uint32_t)MAX(text, (size_t)RELAY_PATH_MAX)) >
	    sizeof(r->packet)) {
		error = relay_send(r, TRACE_RECORDS);
		if (error < 0)
			return error;
	}
	if (r->len == sizeof(r->packet.head))
		r->clock = ns_of(CLOCK_REALTIME) - ns_of(CLOCK_MONOTONIC);
	if (t->kind == TRACE_EXIT)
		put_exit(r, t);
	else
		put(r, t, path_of(t), text);
	return 0;
}
