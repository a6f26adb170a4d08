/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a detached command writes goes to the log, and to the client that is
 * attached. One that does not take it holds the command up for a while; then
 * it is let go.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/internal.h"
#include "sys/files.h"

enum { LOG_MAX = 10 << 20, STUCK_MS = 5000 };
enum { REST_MAX = 1 << 20 /* what a pipe holds at most: pipe-max-size, pipe(7) */ };

void output_init(struct supervisor *s)
{
	struct output *o = &s->output;

	o->fds[0] = o->fds[1] = o->slave = o->log = o->client = -1;
}

static int open_log(struct supervisor *s)
{
	struct stat st;

	s->output.log = sys_openat(s->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	if (s->output.log >= 0 && fstat(s->output.log, &st) == 0)
		s->output.log_size = (uint64_t)st.st_size;
	return s->output.log;
}

int output_open(struct supervisor *s, struct err *e)
{
	int r = open_log(s), pair[2];

	if (r < 0)
		return err_set(e, r, "state", "open the log of %s", s->state.name);
	for (int i = 0; i <= 2; i++) {
		if (i == 0 || s->request->terminal) {
			s->theirs[i] = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
			if (s->theirs[i] < 0)
				return err_set(e, s->theirs[i], "stdio", "open /dev/null");
			continue;
		}
		if (pipe2(pair, O_CLOEXEC) < 0)
			return err_set(e, errno, "stdio", "make a pipe for the log");
		s->output.fds[i - 1] = pair[0];
		s->theirs[i] = pair[1];
		sys_call(SYS_fcntl, pair[0], F_SETFL, O_RDONLY | O_NONBLOCK);
	}
	return 0;
}

/* A disk that is full takes less of it; the command goes on. */
static void log_bytes(struct supervisor *s, const char *data, size_t len)
{
	struct output *o = &s->output;

	if (o->log >= 0 && o->log_size + len > LOG_MAX) {
		sys_close(TAKE_FD(o->log));
		sys_call(SYS_renameat2, s->dir, "log", s->dir, "log.1", 0);
		o->log_size = 0;
		open_log(s);
	}
	if (o->log < 0)
		return;
	while (len > 0) {
		long n = sys_write(o->log, data, len);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
		o->log_size += (uint64_t)n;
	}
}

void output_send(struct supervisor *s)
{
	struct output *o = &s->output;
	int r;

	if (o->client < 0 || !o->pending.head.size)
		return;
	r = control_send(s->clients[o->client].fd, &o->pending, NULL, 0, MSG_DONTWAIT);
	if (r == 0) {
		o->pending.head.size = 0;
		o->stuck_since = 0;
	} else if (r == -EAGAIN && !o->stuck_since) {
		o->stuck_since = supervisor_now();
	} else if (r != -EAGAIN || supervisor_now() - o->stuck_since > STUCK_MS) {
		client_close(s, o->client);
	}
}

void output_prepare(struct supervisor *s, struct pollfd *fds)
{
	struct output *o = &s->output;

	output_send(s);
	for (int i = 0; i < OUTPUTS; i++) {
		fds[i] = (struct pollfd){ .fd = o->fds[i], .events = POLLIN };
		if (o->pending.head.size)
			fds[i].events = 0;
		if (i == 0 && o->input_len)
			fds[i].events |= POLLOUT;
		if (!fds[i].events)
			fds[i].fd = -1;
	}
}

/* How much came; 0: nothing. */
static long read_one(struct supervisor *s, int i)
{
	struct output *o = &s->output;
	long n = sys_read(o->fds[i], o->pending.bytes, sizeof(o->pending.bytes));

	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
		sys_close(TAKE_FD(o->fds[i]));
	if (n <= 0)
		return 0;
	log_bytes(s, o->pending.bytes, (size_t)n);
	if (o->client >= 0) {
		o->pending.head = CONTROL_HEAD(CONTROL_OUTPUT, i + 1, (size_t)n);
		output_send(s);
	}
	return n;
}

static void write_input(struct output *o)
{
	long n = sys_write(o->fds[0], o->input, o->input_len);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0)
		n = (long)o->input_len;
	o->input_len -= (size_t)n;
	memmove(o->input, o->input + n, o->input_len);
}

void output_handle(struct supervisor *s, const struct pollfd *fds)
{
	for (int i = 0; i < OUTPUTS; i++) {
		if (fds[i].fd < 0 || fds[i].fd != s->output.fds[i])
			continue;
		if (fds[i].revents & POLLOUT)
			write_input(&s->output);
		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR) && !s->output.pending.head.size)
			read_one(s, i);
	}
}

/* false: it sends more than it was let. */
bool output_input(struct supervisor *s, const char *data, size_t len)
{
	struct output *o = &s->output;

	if (!o->terminal)
		return true; /* its input is /dev/null */
	if (len > sizeof(o->input) - o->input_len)
		return false;
	memcpy(o->input + o->input_len, data, len);
	o->input_len += len;
	write_input(o);
	return true;
}

void output_end(struct supervisor *s)
{
	struct output *o = &s->output;

	if (!s->request->stays)
		return;
	for (int i = 0; i < OUTPUTS; i++) {
		uint64_t rest = 0;
		long n;

		/*
		 * What an attached client does not take now it does not get. Somebody
		 * outside may have been given the other end, and write on for ever.
		 */
		do {
			o->pending.head.size = 0;
			n = o->fds[i] < 0 ? 0 : read_one(s, i);
			rest += (uint64_t)n;
		} while (n > 0 && rest < REST_MAX);
		sys_close(TAKE_FD(o->fds[i]));
	}
	sys_close(TAKE_FD(o->slave));
}

void output_note(struct supervisor *s, const char *topic, const char *line)
{
	if (!s->request->stays || s->output.log < 0)
		return;
	log_bytes(s, "purple: ", strlen("purple: "));
	log_bytes(s, topic, strlen(topic));
	log_bytes(s, ": ", 2);
	log_bytes(s, line, strlen(line));
	log_bytes(s, "\n", 1);
}

void output_close(struct supervisor *s)
{
	if (s->request->stays)
		sys_close(TAKE_FD(s->output.log));
}
