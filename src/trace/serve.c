/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/serve.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "trace/confine.h"
#include "trace/object.h"
#include "trace/relay.h"

enum { LOOK_MS = TRACE_WAKE_NS / 1000000 + 5 };

static int read_config(int control, struct trace_config *config, struct err *e)
{
	ssize_t n = recv(control, config, sizeof(*config), 0);

	if (n != sizeof(*config) || config->flags & ~(unsigned)TRACE_FLAGS_ALL ||
	    !memchr(config->workspace, '\0', sizeof(config->workspace)))
		return err_set(e, n < 0 ? errno : EPROTO, "trace", "read the configuration");
	return 0;
}

static void tell_failure(int control, const struct err *e)
{
	struct trace_head head = { .type = TRACE_FAILED, .error = -e->code };

	str_copy(head.text, sizeof(head.text), e->message);
	send(control, &head, sizeof(head), MSG_NOSIGNAL);
}

/* All that is in the ring. Returns how many, or -errno: the supervisor is gone. */
static int pass_on(struct trace_object *o, struct relay *r, uint64_t *lost)
{
	int n = ring_buffer__consume(o->ring), error;
	uint64_t now = __atomic_load_n(&o->shared->lost, __ATOMIC_RELAXED);

	r->lost += now - *lost;
	*lost = now;
	if (n < 0 || (r->len == sizeof(r->packet.head) && r->lost == 0))
		return n;
	error = relay_send(r, TRACE_RECORDS);
	return error < 0 ? error : n;
}

static int loop(int control, struct trace_object *o, struct relay *r)
{
	struct pollfd fds[2] = { { .fd = control, .events = POLLIN },
				 { .fd = trace_object_fd(o), .events = POLLIN } };
	uint64_t lost = 0;
	int n = 0;

	while (n >= 0) {
		/* Busy: not on the ring, which is readable as soon as there is one record. */
		if (poll(fds, n > 0 ? 1 : 2, n > 0 ? LOOK_MS : -1) < 0 && errno != EINTR)
			return -errno;
		n = pass_on(o, r, &lost);
		if (n >= 0 && fds[0].revents) {
			n = pass_on(o, r, &lost);
			return n < 0 ? n : relay_send(r, TRACE_END);
		}
	}
	return n;
}

int trace_serve(int control, struct err *e)
{
	static struct trace_config config;
	static struct trace_object object;
	static struct relay relay;
	int r = read_config(control, &config, e);

	if (r == 0) {
		relay_init(&relay, control, &config);
		r = trace_object_open(&object, &config, relay_record, &relay, e);
	}
	if (r == 0)
		r = trace_confine(e);
	if (r < 0) {
		tell_failure(control, e);
		return r;
	}
	r = relay_send(&relay, TRACE_READY);
	if (r == 0)
		r = loop(control, &object, &relay);
	return r < 0 ? err_set(e, r, "trace", "tell the supervisor") : 0;
}
