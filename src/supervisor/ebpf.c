/* SPDX-License-Identifier: Apache-2.0 */
/* purple-trace for this sandbox, by the protocol of trace/protocol.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "supervisor/watch_internal.h"
#include "sys/files.h"
#include "sys/process.h"
#include "trace/protocol.h"

#define PROGRAM "purple-trace"
#define SOURCE "ebpf"

enum {
	START_MS = 30 * 1000, /* libbpf reads all types of the kernel: 0.1 s of an idle machine */
	END_MS = 10 * 1000,
	/* It shall not keep us from all else, and what a turn sees has to fit into the trail's
	   room. */
	PACKETS_PER_TURN = 8
};

_Static_assert((int)HELPER_CONTROL_FD == TRACE_CONTROL_FD, "where its socket is");

/* What it says, and arguments or a path put together of it. */
static _cold_data_ union {
	struct trace_head head;
	char bytes[TRACE_PACKET_MAX];
	uint64_t align;
} packet;
static _cold_data_ char text[TRACE_PATH_MAX + 1 + TRACE_PATH_MAX + 1];
_Static_assert(sizeof(text) > TRACE_ARGS_MAX, "arguments, and a byte that says that some lack");

static uint32_t what_is_wanted(const struct supervisor *s)
{
	const struct plan_audit *a = &s->plan->audit;
	uint32_t flags = 0;

	if (a->classes & PAC_SECURITY)
		flags |= TRACE_PROCESSES | TRACE_REFUSALS;
	if (a->denials.off)
		flags |= TRACE_REFUSALS;
	if (a->classes & PAC_FILESYSTEM)
		flags |= TRACE_REFUSALS | TRACE_WRITES | (a->flags & PA_OPENS ? TRACE_OPENS : 0);
	/* With a network it is purple-net that knows the names, and says. */
	if (a->classes & (PAC_NETWORK | PAC_SECURITY) && !(s->plan->network.flags & PN_ON))
		flags |= TRACE_CONNECTS;
	return flags;
}

static int send_config(const struct supervisor *s)
{
	static _cold_data_ struct trace_config config;

	config = (struct trace_config){ .flags = what_is_wanted(s) };
	if (s->launch->workspace)
		str_copy(config.workspace, sizeof(config.workspace), s->launch->workspace);
	return send(s->ebpf, &config, sizeof(config), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One packet in @packet, within @ms. Its size; 0: its end; -errno. */
static ssize_t receive(const struct supervisor *s, int ms)
{
	struct pollfd p = { .fd = s->ebpf, .events = POLLIN };
	ssize_t n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ETIMEDOUT;
	n = recv(s->ebpf, &packet, sizeof(packet), MSG_DONTWAIT);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	return n > 0 && (size_t)n < sizeof(packet.head) ? -EPROTO : n;
}

static void bury(struct supervisor *s)
{
	close(TAKE_FD(s->ebpf));
	if (s->ebpf_pid <= 0)
		return;
	kill(s->ebpf_pid, SIGKILL);
	while (waitpid(s->ebpf_pid, NULL, 0) < 0 && errno == EINTR)
		;
	s->ebpf_pid = 0;
}

static int wait_ready(struct supervisor *s, struct err *e)
{
	ssize_t n = receive(s, START_MS);

	if (n > 0 && packet.head.type == TRACE_READY)
		return 0;
	packet.head.text[sizeof(packet.head.text) - 1] = '\0';
	if (n > 0 && packet.head.type == TRACE_FAILED)
		err_set(e, packet.head.error ? packet.head.error : EPROTO, "ebpf", "%s",
			packet.head.text);
	else
		err_set(e, n < 0 ? (int)n : EPROTO, "ebpf", "%s",
			n < 0 ? "wait for " PROGRAM : PROGRAM " ended before it was ready");
	err_remedy(e, "`purple doctor` says whether this kernel can; without audit.ebpf the same "
		      "events come by seccomp");
	return -e->code;
}

int ebpf_start(struct supervisor *s, struct err *e)
{
	char program[PATH_MAX];
	int pair[2], r;

	if (!(s->plan->audit.flags & PA_EBPF))
		return 0;
	if (!supervisor_program(s, PROGRAM, program, sizeof(program)))
		return err_set(e, ENAMETOOLONG, "ebpf", PROGRAM);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "ebpf", "make the socket of " PROGRAM);
	s->ebpf = pair[0];
	r = helper_spawn(program, PROGRAM, pair[1], -1, &s->ebpf_pid);
	sys_close(pair[1]);
	if (r < 0) {
		err_set(e, r, "ebpf", "start %s", program);
		err_remedy(e, "this installation of Purple is not whole; install it again");
	} else {
		r = send_config(s);
		if (r < 0)
			err_set(e, r, "ebpf", "tell " PROGRAM " what is wanted");
		else
			r = wait_ready(s, e);
	}
	if (r < 0)
		bury(s);
	return r;
}

static const char *path_of(const struct trace_record *t)
{
	return (const char *)(t + 1);
}

static void emit_exec(struct supervisor *s, const struct trace_record *t)
{
	struct event ev = { .type = EV_PROCESS_EXEC, .time_ns = t->time };
	const char *cwd = path_of(t) + t->path_len, *args = cwd + t->base_len;
	size_t len = t->args_len;

	if (t->flags & TRF_CUT && len == TRACE_ARGS_MAX) { /* a longer list is marked as cut */
		memcpy(text, args, len);
		text[len++] = '\0';
		args = text;
	}
	event_number(&ev, EF_PID, t->pid);
	event_number(&ev, EF_PPID, t->ppid);
	event_bytes(&ev, EF_PATH, path_of(t), t->path_len);
	event_list(&ev, EF_ARGV, args, len);
	event_bytes(&ev, EF_CWD, cwd, t->base_len);
	event_text(&ev, EF_SOURCE, SOURCE);
	supervisor_emit(s, &ev);
}

static void emit_exit(struct supervisor *s, const struct trace_record *t)
{
	struct event ev = { .type = EV_PROCESS_EXIT, .time_ns = t->time };

	event_number(&ev, EF_PID, t->pid);
	event_number(&ev, EF_PPID, t->ppid);
	event_bytes(&ev, EF_PATH, path_of(t), t->path_len);
	if (WIFSIGNALED(t->result))
		event_number(&ev, EF_SIGNAL, (uint64_t)WTERMSIG(t->result));
	else
		event_number(&ev, EF_STATUS, (uint64_t)WEXITSTATUS(t->result));
	event_text(&ev, EF_SOURCE, SOURCE);
	supervisor_emit(s, &ev);
}

static const char *const access_names[TRACE_ACCESSES] = {
	[TRACE_READ] = "read",	   [TRACE_WRITE] = "write",   [TRACE_EXECUTE] = "exec",
	[TRACE_CREATE] = "create", [TRACE_REMOVE] = "remove",
};

/* What a relative path begins at comes in front. Into @text, terminated. */
static void join(const struct trace_record *t)
{
	const char *path = path_of(t), *base = path + t->path_len;
	size_t len = t->path_len && path[0] == '/' ? 0 : t->base_len;

	memcpy(text, base, len);
	if (len && t->path_len)
		text[len++] = '/';
	memcpy(text + len, path, t->path_len);
	text[len + t->path_len] = '\0';
	if (text[0] == '/')
		watch_normalize(text);
}

static void emit_open(struct supervisor *s, const struct trace_record *t)
{
	struct event ev = { .type = EV_FILE_OPEN, .time_ns = t->time };

	join(t);
	if (t->access != TRACE_READ && !watch_in_workspace(s, text))
		ev.type = EV_FILE_WRITE;
	event_number(&ev, EF_PID, t->pid);
	event_text(&ev, EF_PATH, text);
	event_text(&ev, EF_ACCESS, access_names[t->access]);
	event_text(&ev, EF_SOURCE, SOURCE);
	supervisor_emit(s, &ev);
}

/* The layer, where the plan explains the errno: permission bits give the same ones. */
static void emit_refused(struct supervisor *s, const struct trace_record *t)
{
	struct event ev = { .type = EV_FILE_DENIED, .time_ns = t->time };
	struct sighting seen = { .access = access_names[t->access], .error = -t->result };
	bool explained;
	char name[ERR_NAME];

	join(t);
	explained = watch_refused(s, text, t->access == TRACE_CREATE, &seen) &&
		    seen.error == -t->result;
	if (t->result == -ENOENT && !explained)
		return; /* it is not there, and the policy does not matter */
	event_number(&ev, EF_PID, t->pid);
	event_text(&ev, EF_PATH, text);
	event_text(&ev, EF_ACCESS, access_names[t->access]);
	event_text(&ev, EF_ERROR, err_name(-t->result, name));
	event_text(&ev, EF_LAYER, explained ? seen.layer : t->result == -EROFS ? "mount" : NULL);
	event_text(&ev, EF_SOURCE, SOURCE);
	supervisor_emit(s, &ev);
}

static void emit_connected(struct supervisor *s, const struct trace_record *t)
{
	struct event ev = { .type = t->result == 0 ? EV_NET_ALLOWED : EV_NET_DENIED,
			    .time_ns = t->time };
	char address[INET6_ADDRSTRLEN] = "", name[ERR_NAME];

	inet_ntop(t->flags & TRF_V6 ? AF_INET6 : AF_INET, t->address, address, sizeof(address));
	event_text(&ev, EF_HOST, address);
	event_text(&ev, EF_ADDRESS, address);
	event_number(&ev, EF_PORT, t->port);
	event_text(&ev, EF_PROTO, t->flags & TRF_UDP ? "udp" : "tcp");
	if (t->result)
		event_text(&ev, EF_REASON, err_name(-t->result, name));
	supervisor_emit(s, &ev);
}

static void emit_gap(struct supervisor *s, const char *why, uint64_t count)
{
	struct event ev = { .type = EV_AUDIT_GAP };

	if (count)
		event_number(&ev, EF_COUNT, count);
	event_text(&ev, EF_REASON, why);
	supervisor_emit(s, &ev);
}

/* The next record at @at of @size bytes; NULL: none that holds together. */
static const struct trace_record *record_at(size_t at, size_t size)
{
	const struct trace_record *t = (const void *)(packet.bytes + at);
	size_t strings;

	if (size - at < sizeof(*t) || t->size % 8 || t->size > size - at || t->size < sizeof(*t))
		return NULL;
	strings = (size_t)t->path_len + t->base_len + t->args_len;
	if (strings > t->size - sizeof(*t) || t->path_len > TRACE_PATH_MAX ||
	    t->base_len > TRACE_PATH_MAX || t->args_len > TRACE_ARGS_MAX ||
	    t->access >= TRACE_ACCESSES || t->flags & ~(unsigned)TRF_ALL)
		return NULL;
	return t;
}

static bool emit_records(struct supervisor *s, size_t size)
{
	static void (*const emit[TRACE_KINDS])(struct supervisor *, const struct trace_record *) = {
		[TRACE_EXEC] = emit_exec,	    [TRACE_EXIT] = emit_exit,
		[TRACE_OPEN] = emit_open,	    [TRACE_REFUSED] = emit_refused,
		[TRACE_CONNECTED] = emit_connected,
	};

	for (size_t at = sizeof(packet.head); at < size;) {
		const struct trace_record *t = record_at(at, size);

		if (!t || t->kind >= TRACE_KINDS || !emit[t->kind])
			return false;
		emit[t->kind](s, t);
		at += t->size;
	}
	return true;
}

/* It is gone, or as good as that. */
static void fail(struct supervisor *s, int code, const char *why)
{
	struct err e = { 0 };

	bury(s);
	emit_gap(s, PROGRAM " ended before the sandbox: what follows is not seen", 0);
	err_set(&e, code, "audit", PROGRAM ": %s", why);
	events_fail(s, &e);
}

/* True: go on. */
static bool take(struct supervisor *s, ssize_t n)
{
	if (n > 0 && packet.head.lost)
		emit_gap(s, "the kernel's buffer for eBPF was full", packet.head.lost);
	if (n > 0 && packet.head.type == TRACE_END)
		return false;
	if (n > 0 && packet.head.type == TRACE_RECORDS && emit_records(s, (size_t)n))
		return true;
	fail(s, n < 0 ? (int)n : EPROTO, n > 0 ? "it sent rubbish" : "it has ended");
	return false;
}

void ebpf_prepare(const struct supervisor *s, struct pollfd *fd)
{
	*fd = (struct pollfd){ .fd = s->ebpf, .events = POLLIN };
}

void ebpf_handle(struct supervisor *s, const struct pollfd *fd)
{
	for (int i = 0; fd->revents && s->ebpf >= 0 && i < PACKETS_PER_TURN; i++) {
		ssize_t n = receive(s, 0);

		if (n == -ETIMEDOUT || n == -EAGAIN || !take(s, n))
			break;
	}
}

void ebpf_end(struct supervisor *s)
{
	uint64_t now = supervisor_now(), until = now + END_MS;

	if (s->ebpf < 0)
		return;
	shutdown(s->ebpf, SHUT_WR);
	for (unsigned i = 0; s->ebpf >= 0; i++, now = supervisor_now()) {
		ssize_t n = receive(s, now < until ? (int)(until - now) : 0);

		if (n == -EAGAIN && now < until)
			continue;
		if (!take(s, n))
			break;
		if (i % PACKETS_PER_TURN == 0)
			events_flush(s);
	}
	if (s->ebpf >= 0)
		bury(s);
}
