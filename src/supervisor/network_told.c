/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-net says while it lives, and what is said of its death. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "policy/netrule.h"
#include "supervisor/internal.h"
#include "sys/clock.h"

static void rule_text(const struct supervisor *s, unsigned number, char *ret, size_t size)
{
	const struct net_rules now = network_rules(s);

	ret[0] = '\0';
	if (number >= 1 && number <= now.block_count)
		net_rule_format(&now.block[number - 1], ret, size);
}

/* Of a name or an address; each other byte is a question mark. */
static void copy_name(char *dst, size_t size, const char *src)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_:*/[]";
	size_t n = 0;

	for (; n + 1 < size && src[n] != '\0'; n++)
		dst[n] = strchr(plain, src[n]) ? src[n] : '?';
	dst[n] = '\0';
}

/*
 * When it says that it happened, which is before who did it heard of it. It can
 * make a line late or early, but by no more than this.
 */
enum { SKEW_S = 5 };

static uint64_t time_of(const struct net_message *m)
{
	uint64_t now = sys_clock_ns(CLOCK_REALTIME);

	return m->time_ns <= now && now - m->time_ns < SKEW_S * UINT64_C(1000000000) ? m->time_ns
										     : now;
}

/* It comes from purple-net, which reads hostile bytes, and the names in it from inside. */
static void emit_denied(struct supervisor *s, const struct net_message *told, const char *rule)
{
	struct net_message m = *told;
	const bool look_up = m.port == 0 && m.verdict != NET_TOO_MANY;
	struct event ev = { .type = look_up ? EV_DNS_DENIED : EV_NET_DENIED,
			    .time_ns = time_of(told) };
	char host[sizeof(m.text)], address[sizeof(m.address)];

	m.text[sizeof(m.text) - 1] = m.address[sizeof(m.address) - 1] = '\0';
	copy_name(host, sizeof(host), m.text);
	copy_name(address, sizeof(address), m.address);
	event_text(&ev, EF_HOST, host);
	if (m.port) {
		event_text(&ev, EF_ADDRESS, address[0] ? address : NULL);
		event_number(&ev, EF_PORT, m.port);
		event_text(&ev, EF_PROTO, m.udp ? "udp" : "tcp");
	}
	event_text(&ev, EF_REASON, net_verdict_name((enum net_verdict)m.verdict));
	event_text(&ev, EF_RULE, rule[0] ? rule : NULL);
	event_number(&ev, EF_COUNT, 1);
	supervisor_emit(s, &ev);
}

/* Those that purple-net did not tell of one by one: more than NET_DENIED_PER_SECOND. */
static void emit_others(struct supervisor *s, uint64_t count)
{
	struct event ev = { .type = EV_NET_DENIED };

	event_text(&ev, EF_REASON, "more than are told of one by one");
	event_number(&ev, EF_COUNT, count);
	supervisor_emit(s, &ev);
}

void network_denied(struct supervisor *s, const struct net_message *m)
{
	char rule[300];

	rule_text(s, m->verdict == NET_BLOCKED ? m->rule : 0, rule, sizeof(rule));
	if (m->verdict > 0 && m->verdict < NET_VERDICTS)
		emit_denied(s, m, rule);
	else if (m->verdict > 0)
		emit_others(s, 1);
	if (m->count > 0)
		emit_others(s, m->count);
}

/* Behind "http://authority", as a proxy is asked. */
static const char *path_of(const char *target)
{
	const char *rest = str_after(target, "http://");

	return rest ? strchrnul(rest, '/') : target;
}

static void emit_untold(struct supervisor *s, uint64_t count)
{
	struct event ev = { .type = EV_AUDIT_GAP };

	event_text(&ev, EF_REASON, "purple-net saw more than it could tell");
	event_number(&ev, EF_COUNT, count);
	supervisor_emit(s, &ev);
}

void network_allowed(struct supervisor *s, const struct net_message *told)
{
	struct net_message m = *told;
	struct event ev = { .type = m.method[0] ? EV_API_CALL
				    : m.port	? EV_NET_ALLOWED
						: EV_DNS_ALLOWED,
			    .time_ns = time_of(told) };

	m.text[sizeof(m.text) - 1] = m.address[sizeof(m.address) - 1] = '\0';
	m.method[sizeof(m.method) - 1] = m.path[sizeof(m.path) - 1] = '\0';
	if (m.count > 0)
		emit_untold(s, m.count);
	if (m.text[0] == '\0')
		return;
	event_text(&ev, EF_HOST, m.text);
	if (ev.type != EV_API_CALL)
		event_text(&ev, EF_ADDRESS, m.address[0] ? m.address : NULL);
	if (ev.type != EV_DNS_ALLOWED)
		event_number(&ev, EF_PORT, m.port);
	if (ev.type == EV_NET_ALLOWED)
		event_text(&ev, EF_PROTO, m.udp ? "udp" : "tcp");
	if (ev.type == EV_API_CALL) {
		event_text(&ev, EF_METHOD, m.method);
		event_text(&ev, EF_PATH, path_of(m.path));
	}
	supervisor_emit(s, &ev);
}

/*
 * Its end of the socket is closed after its exit status is set (kernel, do_exit()),
 * so a SIGKILL only ends one that has closed it and lives on.
 */
void network_bury(struct supervisor *s)
{
	char *why = s->out->network_why;
	int status = 0, r = -ECHILD;

	if (s->net_pid > 0) {
		kill(s->net_pid, SIGKILL);
		do
			r = waitpid(s->net_pid, &status, 0);
		while (r < 0 && errno == EINTR);
		s->net_pid = 0;
	}
	if (s->net_ends)
		return;
	s->out->network_died = s->net_ready;
	if (r > 0 && WIFSIGNALED(status))
		snprintf(why, sizeof(s->out->network_why), "killed by signal %d", WTERMSIG(status));
	else if (s->net_error[0])
		snprintf(why, sizeof(s->out->network_why), "%.140s", s->net_error);
	else
		snprintf(why, sizeof(s->out->network_why), "it exited with status %d",
			 r > 0 ? WEXITSTATUS(status) : -1);
	network_abandon(s);
	if (s->net_ready) {
		struct event ev = { .type = EV_NET_LOST };
		char line[256];

		event_text(&ev, EF_REASON, why);
		supervisor_emit(s, &ev);

		snprintf(line, sizeof(line), "purple-net died (%s); nothing outside can be reached",
			 why);
		output_note(s, "network", line);
	}
}
