/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple net` of a running sandbox: other rules, and what there is. purple-net does
 * it and answers when it has; meanwhile the client waits, and we do not. What it shows
 * goes to the client unread: a memfd whose size it cannot change.
 */
#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/str.h"
#include "net/config.h"
#include "net/live.h"
#include "supervisor/internal.h"
#include "sys/files.h"

enum { DNS_PORT = 53 };

_Static_assert((int)RULE_LIST_MAX == (int)PLAN_RULES_MAX, "a plan's rules fit, and no more");

static void refuse(struct supervisor *s, int n, const char *message, const char *remedy)
{
	struct err e = { 0 };

	err_set(&e, EPROTO, "network", "%s", message);
	if (remedy)
		err_remedy(&e, "%s", remedy);
	client_error(s, n, &e);
}

/* The rules now in force, in memory of the caller's. */
static struct rule_lists *copy_rules(const struct supervisor *s)
{
	const struct net_rules now = network_rules(s);
	struct rule_lists *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->allow.count = (uint32_t)now.allow_count;
	l->block.count = (uint32_t)now.block_count;
	memcpy(l->allow.items, now.allow, now.allow_count * sizeof(struct net_rule));
	memcpy(l->block.items, now.block, now.block_count * sizeof(struct net_rule));
	return l;
}

/* UDP needs a socket in the sandbox's namespace, which only PID 1 could make, at the start. */
static int check_udp(const struct supervisor *s, const struct net_rule *rule, struct err *e)
{
	const struct plan_socket *p = plan_items(s->plan, network.sockets, struct plan_socket);
	bool dns = rule->port == DNS_PORT;

	if (!rule->udp)
		return 0;
	for (uint32_t i = 0; i < s->plan->network.sockets.count; i++)
		if ((p[i].kind == PS_UDP && p[i].port == rule->port && rule->port) ||
		    (p[i].kind == PS_ICMP && dns))
			return 0;
	err_set(e, EPROTO, "network",
		"UDP to port %u was not asked for when %s was started, and cannot be opened later",
		rule->port, s->state.name);
	err_remedy(e, "start it with a rule for that port: --allow-net HOST:%u/udp", rule->port);
	return -EPROTO;
}

/* Without nf_tables so does TCP. */
static int check_tcp(const struct supervisor *s, const struct net_rule *rule, struct err *e)
{
	const struct plan_socket *p = plan_items(s->plan, network.sockets, struct plan_socket);

	if (!(s->plan->network.flags & PN_PORTS) || rule->udp)
		return 0;
	for (uint32_t i = 0; i < s->plan->network.sockets.count; i++)
		if ((p[i].kind == PS_TCP || p[i].kind == PS_DNS_TCP) && p[i].port == rule->port)
			return 0;
	if (rule->port == 0)
		err_set(e, EPROTO, "network", "without nf_tables a rule has to name the port");
	else
		err_set(e, EPROTO, "network",
			"without nf_tables TCP to port %u cannot be opened later, and was not "
			"asked for when %s was started",
			rule->port, s->state.name);
	err_remedy(e, "`purple plan` shows the ports; start it with a rule for each that it needs");
	return -EPROTO;
}

static int change_one(const struct supervisor *s, struct rule_lists *l, const char *text,
		      bool allow, struct err *e)
{
	struct net_rule rule;
	const char *why = "";
	int r;

	if (net_rule_parse(text, &rule, &why) < 0)
		return err_set(e, EPROTO, "network", "%.200s: %s", text, why);
	r = allow ? check_udp(s, &rule, e) : 0;
	if (r == 0 && allow)
		r = check_tcp(s, &rule, e);
	if (r < 0)
		return r;
	return allow ? rule_lists_allow(l, &rule, e) : rule_lists_deny(l, &rule, e);
}

static void note(struct supervisor *s, int n, const char *text, bool allow)
{
	struct event ev = { .type = EV_POLICY_CHANGED };
	char line[340], rule[300];
	struct net_rule parsed;
	const char *why;

	if (net_rule_parse(text, &parsed, &why) < 0)
		return;
	net_rule_format(&parsed, rule, sizeof(rule));
	snprintf(line, sizeof(line), "%s %s",
		 allow ? "allowed from here on:" : "denied from here on:", rule);
	output_note(s, "network", line);
	event_text(&ev, EF_RULE, rule);
	event_text(&ev, EF_MESSAGE, allow ? "purple net allow" : "purple net deny");
	event_number(&ev, EF_UID, s->clients[n].peer.uid);
	event_number(&ev, EF_PID, (uint64_t)s->clients[n].peer.pid);
	supervisor_emit(s, &ev);
}

static void change(struct supervisor *s, int n, const struct control_message *m, bool allow)
{
	const size_t len = m->head.size - sizeof(m->head);
	struct rule_lists *l;
	struct err e = { 0 };
	int r = 0;

	if (s->plan->network.flags & PN_LOCKED)
		return refuse(s, n, "the policy is locked: its rules stay as they are",
			      "its author has written `locked: true`");
	if (!len || m->bytes[len - 1] != '\0')
		return refuse(s, n, "a request that makes no sense", NULL);
	l = copy_rules(s);
	if (!l)
		return refuse(s, n, "out of memory", NULL);
	for (size_t at = 0; at < len && r == 0; at += strlen(m->bytes + at) + 1)
		r = change_one(s, l, m->bytes + at, allow, &e);
	if (r == 0) {
		struct rule_lists *before = s->rules;

		s->rules = l;
		r = network_ask(s, NET_RULES, n);
		if (r == 0) {
			l = before;
		} else {
			s->rules = before;
			err_set(&e, r, "network", "tell purple-net");
		}
	}
	free(l);
	if (r < 0)
		return client_error(s, n, &e);
	for (size_t at = 0; at < len; at += strlen(m->bytes + at) + 1)
		note(s, n, m->bytes + at, allow);
}

/* What we know ourselves: the denials, then the rules allowed, then those blocked. */
static int make_told(const struct supervisor *s, struct control_net *net)
{
	const struct net_rules now = network_rules(s);
	int fd = (int)sys_call(SYS_memfd_create, "told", MFD_CLOEXEC), r;

	if (fd < 0)
		return fd;
	net->allow_count = (uint32_t)now.allow_count;
	net->block_count = (uint32_t)now.block_count;
	r = write_full(fd, &s->denials, sizeof(s->denials));
	if (r == 0)
		r = write_full(fd, now.allow, now.allow_count * sizeof(struct net_rule));
	if (r == 0)
		r = write_full(fd, now.block, now.block_count * sizeof(struct net_rule));
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

/* @shown: what purple-net has written, or -1: it is gone. */
static void answer_show(struct supervisor *s, int n, int shown)
{
	struct control_message m = { .head = CONTROL_HEAD(CONTROL_NET_IS, 0, sizeof(m.net)) };
	struct err e = { 0 };
	int fds[2];

	fds[0] = make_told(s, &m.net);
	fds[1] = shown;
	if (fds[0] < 0) {
		err_set(&e, fds[0], "network", "write down the rules");
		return client_error(s, n, &e);
	}
	m.net.lives = shown >= 0;
	m.net.locked = s->plan->network.flags & PN_LOCKED ? 1 : 0;
	m.net.max_connections = s->plan->network.max_connections;
	m.net.bytes_per_second = s->plan->network.bytes_per_second;
	str_copy(m.net.why, sizeof(m.net.why), s->out->network_why);
	client_send(s, n, &m, fds, shown >= 0 ? 2 : 1);
	sys_close(fds[0]);
}

void network_request(struct supervisor *s, int n, const struct control_message *m)
{
	struct client *c = &s->clients[n];
	struct err e = { 0 };
	int r;

	if (!(s->plan->network.flags & PN_ON) && !(s->plan->namespaces & CLONE_NEWNET))
		return refuse(s, n, "the sandbox has no network of its own: it shares the host's",
			      "network.share_host: false, with isolated: false, gives it one");
	if (!(s->plan->network.flags & PN_ON))
		return refuse(s, n, "the sandbox is isolated: it has no network",
			      "network.isolated: false gives it one when it is started");
	if (c->net_serial)
		return refuse(s, n, "a request that makes no sense", NULL);
	if (s->net < 0 && m->head.type != CONTROL_NET_SHOW) {
		err_set(&e, EPROTO, "network",
			"purple-net died (%s): the sandbox has no network "
			"any more",
			s->out->network_why);
		return client_error(s, n, &e);
	}
	if (m->head.type != CONTROL_NET_SHOW)
		return change(s, n, m, m->head.type == CONTROL_NET_ALLOW);
	if (s->net < 0)
		return answer_show(s, n, -1);
	r = network_ask(s, NET_SHOW, n);
	if (r < 0) {
		err_set(&e, r, "network", "ask purple-net");
		client_error(s, n, &e);
	}
}

int network_ask(struct supervisor *s, enum net_message_type type, int n)
{
	struct net_message m = { .type = type };
	struct client *c = &s->clients[n];
	int fd = type == NET_SHOW ? sys_memfd_sized("shown", NET_SHOWN_MAX) : network_block(s), r;

	if (fd < 0)
		return fd;
	m.count = ++s->net_serial ? s->net_serial : ++s->net_serial; /* 0 is nobody's */
	r = network_send(s, &m, &fd, 1);
	if (r == 0)
		c->net_serial = m.count;
	if (r == 0 && type == NET_SHOW)
		c->net_shown = fd;
	else
		sys_close(fd);
	return r;
}

void network_forget(struct supervisor *s, int n)
{
	struct client *c = &s->clients[n];

	c->net_serial = 0;
	if (c->net_shown > 0)
		sys_close(c->net_shown);
	c->net_shown = 0;
}

void network_answered(struct supervisor *s, const struct net_message *m)
{
	struct control_message ok = { .head = CONTROL_HEAD(CONTROL_OK, MAX(m->error, 0), 0) };
	struct err e = { 0 };

	for (int n = 0; s->served && n < CONTROL_CLIENTS_MAX; n++) {
		struct client *c = &s->clients[n];
		int shown = c->net_shown;

		if (c->fd < 0 || !c->net_serial || c->net_serial != m->count ||
		    (m->type == NET_SHOWN) != (shown > 0))
			continue;
		c->net_serial = 0;
		c->net_shown = 0;
		if (m->type == NET_CHANGED) {
			client_send(s, n, &ok, NULL, 0);
		} else if (m->error < 0) {
			err_set(&e, m->error > -4096 ? m->error : -EPROTO, "network",
				"purple-net cannot say what it does");
			client_error(s, n, &e);
		} else {
			answer_show(s, n, shown);
		}
		if (shown > 0)
			sys_close(shown);
		return;
	}
}

void network_abandon(struct supervisor *s)
{
	for (int n = 0; s->served && n < CONTROL_CLIENTS_MAX; n++) {
		struct err e = { 0 };

		if (s->clients[n].fd < 0 || !s->clients[n].net_serial)
			continue;
		network_forget(s, n);
		err_set(&e, EPROTO, "network", "purple-net died (%s)", s->out->network_why);
		client_error(s, n, &e);
	}
}
