/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "serve/address.h"
#include "serve/confine.h"
#include "serve/exposition.h"
#include "sys/files.h"

enum { MEMORY_EACH = 16 << 10, BACKLOG = 128, ACCEPT_AT_A_TIME = 32, SEND_ROOM = 32 << 10 };
enum { FULL_MS = 100 }; /* how often to look for one that may be cut off */

struct connection {
	struct MHD_Connection *mhd; /* NULL: a free place */
	int fd;			    /* libmicrohttpd's */
	uint64_t since;
	bool answered, cut;
};

struct server {
	const struct serve_request *request;
	int listener, signals;
	struct MHD_Daemon *mhd;
	struct connection places[CONNECTIONS_MAX];
	struct gathered gathered;
	struct MHD_Response *metrics; /* NULL: none yet */
	uint64_t metrics_at;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct connection *find(struct server *s, const struct MHD_Connection *c)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (s->places[i].mhd == c)
			return &s->places[i];
	return NULL;
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *s = cls;
	struct connection *place = find(s, code == MHD_CONNECTION_NOTIFY_STARTED ? NULL : c);

	if (!place)
		return;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		*place = (struct connection){
			.mhd = c,
			.fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)
				      ->connect_fd,
			.since = now_ms(),
		};
	else
		*place = (struct connection){ 0 };
}

static struct MHD_Response *make(const char *data, size_t len, enum MHD_ResponseMemoryMode mode,
				 const char *type)
{
	/* It is not written to; the interface has no const. */
	struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *)(uintptr_t)data,
								 mode);

	if (!r)
		return NULL;
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Connection", "close");
	return r;
}

/* @text is constant. */
static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text)
{
	struct MHD_Response *r = make(text, strlen(text), MHD_RESPMEM_PERSISTENT,
				      "text/plain; charset=utf-8");
	enum MHD_Result ret;

	if (!r)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	ret = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ret;
}

/* The directory may have gone with a session; a new one of its name is none of ours. */
static bool is_ready(const struct server *s)
{
	struct stat st;

	return fstat(s->request->all, &st) == 0 && st.st_nlink > 0;
}

static bool refresh(struct server *s)
{
	struct buf b = BUF_INIT(EXPOSITION_MAX);
	static struct totals totals;
	struct MHD_Response *r = NULL;

	if (gather(s->request->all, &s->gathered) == 0) {
		totals_read(s->request->all, &totals);
		exposition(&b, &s->gathered, &totals);
		if (!b.failed)
			r = make(b.data, b.len, MHD_RESPMEM_MUST_FREE, EXPOSITION_TYPE);
	}
	if (!r) {
		buf_free(&b);
		return false;
	}
	/* Those that still read the old one keep it. */
	if (s->metrics)
		MHD_destroy_response(s->metrics);
	s->metrics = r;
	s->metrics_at = now_ms();
	return true;
}

static enum MHD_Result on_metrics(struct server *s, struct MHD_Connection *c)
{
	bool fresh = s->metrics && now_ms() - s->metrics_at < FRESH_MS;

	if (!is_ready(s) || (!fresh && !refresh(s)))
		return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the state cannot be read\n");
	return MHD_queue_response(c, MHD_HTTP_OK, s->metrics);
}

static enum MHD_Result on_healthz(struct server *s, struct MHD_Connection *c)
{
	return say(c, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result on_readyz(struct server *s, struct MHD_Connection *c)
{
	if (is_ready(s))
		return say(c, MHD_HTTP_OK, "ok\n");
	return say(c, MHD_HTTP_SERVICE_UNAVAILABLE,
		   "the state directory is gone; start purple serve anew\n");
}

static const struct route {
	const char *path;
	enum MHD_Result (*answer)(struct server *s, struct MHD_Connection *c);
} routes[] = {
	{ "/metrics", on_metrics },
	{ "/healthz", on_healthz },
	{ "/readyz", on_readyz },
};

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
	struct server *s = cls;
	struct connection *place = find(s, c);

	if (place)
		place->answered = true;
	if (host && !s->request->any && !serve_host_is_local(host))
		return say(c, MHD_HTTP_FORBIDDEN,
			   "this is served to the host's own programs: ask by its address\n");
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!streq(url, routes[i].path))
			continue;
		if (!streq(method, "GET") && !streq(method, "HEAD"))
			return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
		return routes[i].answer(s, c);
	}
	return say(c, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

/* libmicrohttpd sees the end, and gives the place back. */
static void cut(struct connection *place)
{
	place->cut = true;
	shutdown(place->fd, SHUT_RDWR);
}

/* The oldest that has not sent a whole request, or takes its time to read; NULL: none. */
static struct connection *oldest_idle(struct server *s)
{
	struct connection *oldest = NULL;
	uint64_t now = now_ms();

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *place = &s->places[i];

		if (place->mhd && !place->cut &&
		    (!place->answered || now - place->since >= READ_MS) &&
		    (!oldest || place->since < oldest->since))
			oldest = place;
	}
	return oldest;
}

static bool make_room(struct server *s)
{
	struct connection *idle = find(s, NULL) ? NULL : oldest_idle(s);

	if (idle) {
		cut(idle);
		MHD_run(s->mhd);
	}
	return find(s, NULL);
}

static void on_listener(struct server *s)
{
	for (int i = 0; i < ACCEPT_AT_A_TIME; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int fd;

		/* One without a place waits in the queue, which the kernel bounds. */
		if (!make_room(s))
			return;
		fd = accept4(s->listener, (struct sockaddr *)&from, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		/* It closes the descriptor if it cannot. */
		MHD_add_connection(s->mhd, fd, (struct sockaddr *)&from, len);
		MHD_run(s->mhd);
	}
}

/* Ends those that have had their time. Returns ms until the next one's is up; -1: none. */
static int64_t expire(struct server *s)
{
	uint64_t now = now_ms(), age;
	int64_t next = -1;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *place = &s->places[i];

		if (!place->mhd || place->cut)
			continue;
		age = now - place->since;
		if (age >= LIFE_MS)
			cut(place);
		else if (next < 0 || (int64_t)(LIFE_MS - age) < next)
			next = (int64_t)(LIFE_MS - age);
	}
	return next;
}

static void loop(struct server *s)
{
	int epoll = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = s->signals, .events = POLLIN },
			{ .fd = s->listener, .events = POLLIN },
			{ .fd = epoll, .events = POLLIN },
		};
		int64_t ms = expire(s);
		MHD_UNSIGNED_LONG_LONG theirs;

		if (MHD_get_timeout(s->mhd, &theirs) == MHD_YES && (ms < 0 || (int64_t)theirs < ms))
			ms = (int64_t)theirs;
		/* Where all have just begun to read, one of them has to end first. */
		if (!find(s, NULL) && !oldest_idle(s)) {
			fds[1].events = 0;
			ms = FULL_MS;
		}
		if (poll(fds, ARRAY_SIZE(fds), (int)ms) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			return;
		if (fds[1].revents)
			on_listener(s);
		MHD_run(s->mhd);
	}
}

static int start_listening(struct server *s, char where[64], struct err *e)
{
	struct serve_address a;
	socklen_t len = sizeof(a.sa);
	int on = 1, room = SEND_ROOM, r = serve_address_parse(s->request->address, &a, e);

	if (r < 0)
		return r;
	if (!a.loopback && !s->request->any) {
		err_set(e, EPROTO, "usage", "%.80s is not of the loopback: other hosts could read",
			s->request->address);
		err_remedy(e, "--listen-any allows it; there is neither encryption nor a password");
		return -EPROTO;
	}
	s->listener = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return err_set(e, errno, "serve", "make a socket");
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* What is sent and not read is the kernel's memory; accepted ones inherit it. */
	setsockopt(s->listener, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (bind(s->listener, (struct sockaddr *)&a.sa, a.len) < 0 ||
	    listen(s->listener, BACKLOG) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&a.sa, &len) < 0)
		return err_set(e, errno, "serve", "listen at %.80s", s->request->address);
	serve_address_format(&a.sa, where);
	return 0;
}

static int start(struct server *s, char where[64], struct err *e)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaddset(&set, ends[i]);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return err_set(e, errno, "serve", "watch for signals");
	r = start_listening(s, where, e);
	if (r < 0)
		return r;
	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
				  on_request, s, MHD_OPTION_CONNECTION_LIMIT,
				  (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				  (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				  (size_t)MEMORY_EACH, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
				  s, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!s->mhd)
		return err_set(e, errno ? errno : EPROTO, "serve", "start libmicrohttpd");
	return serve_confine(s->request->all, s->request->best_effort, e);
}

int serve_run(const struct serve_request *request, struct err *e)
{
	static struct server s;
	static const char begin[] = "purple serve: http://", end[] = "/metrics\n";
	_cleanup_buf_ struct buf line = BUF_INIT(256);
	char where[64];
	int r;

	s = (struct server){ .request = request, .listener = -1, .signals = -1 };
	r = start(&s, where, e);
	if (r == 0) {
		buf_printf(&line, "%s%s%s", begin, where, end);
		/* Where nobody reads it, nobody needs it. */
		write_full(STDOUT_FILENO, line.data, line.len);
		loop(&s);
	}
	if (s.metrics)
		MHD_destroy_response(s.metrics);
	if (s.mhd)
		MHD_stop_daemon(s.mhd);
	gathered_free(&s.gathered);
	sys_close(s.listener);
	sys_close(s.signals);
	return r;
}
