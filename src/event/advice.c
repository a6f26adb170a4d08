/* SPDX-License-Identifier: Apache-2.0 */
#include "event/advice_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/netrule.h"
#include "policy/path.h"
#include "policy/policy.h"

/* Where a line does not help, or not alone. */
static const char *const network_why[NET_VERDICTS] = {
	[NET_OTHER_NAME] = "what is sent must be for the name that was looked up: ask for that "
			   "other name, and connect to what it leads to",
	[NET_NO_NAME] = "look the name up first; addresses are handed out for names, and end with "
			"the sandbox",
	[NET_UNREACHABLE] = "the policy allows it; the host got no connection",
};

void advice_why(struct advice *ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret->why, sizeof(ret->why), fmt, ap);
	va_end(ap);
}

void advice_line(struct advice *ret, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(ret->allow, sizeof(ret->allow), fmt, ap);
	va_end(ap);
	if (n < (int)sizeof(ret->allow))
		return;
	ret->allow[0] = '\0';
	advice_why(ret, "the line would be too long to be shown");
}

/* As a rule has it: "[::1]:53/udp"; of a look-up the name alone. */
static void put_target(const char *host, uint16_t port, bool udp, char *ret, size_t size)
{
	if (port)
		snprintf(ret, size, strchr(host, ':') ? "[%s]:%u%s" : "%s:%u%s", host, port,
			 udp ? "/udp" : "");
	else
		snprintf(ret, size, "%s", host);
}

/* The rule @but is left out: that there is one list less, the others as they are. */
static void unblock(const struct advice_policy *p, const char *but, struct advice *ret)
{
	char text[300], list[ADVICE_LINE] = "";
	size_t len = 0, found = 0;

	for (size_t i = 0; i < p->block_count; i++) {
		int n;

		net_rule_format(&p->block[i], text, sizeof(text));
		if (streq(text, but)) {
			found++;
			continue;
		}
		n = snprintf(list + len, sizeof(list) - len, "%s\"%s\"", len ? ", " : "", text);
		len += (size_t)n;
		if (len >= sizeof(list))
			break;
	}
	if (found && len < sizeof(list) - 64)
		advice_line(ret, "network.blocked_ips: !replace [%s]", list);
	if (ret->allow[0] == '\0')
		advice_why(ret, "network.blocked_ips has %.200s; take that out",
			   but[0] != '\0' ? but : "a rule for it");
}

static void allow_target(const char *host, uint16_t port, bool udp, struct advice *ret)
{
	char target[300];

	put_target(host, port, udp, target, sizeof(target));
	if (host[0] == '\0' || strpbrk(host, "?\"\\"))
		advice_why(ret, "what was asked for is no name that a rule could have");
	else
		advice_line(ret, "network.allow_outgoing: [\"%s\"]", target);
}

static uint64_t twice(uint64_t value, uint64_t max)
{
	return value > max / 2 ? max : value * 2;
}

enum { CONNECTIONS_MAX = 16384 }; /* policy/keys.c */

/* @rule: of blocked_ips. */
static void network(const struct advice_policy *p, enum net_verdict verdict, const char *host,
		    const char *address, uint16_t port, bool udp, const char *rule,
		    struct advice *ret)
{
	uint64_t most = p->plan ? p->plan->network.max_connections : 0;

	if (verdict == NET_NOT_LISTED || verdict == NET_TOO_MANY_NAMES)
		allow_target(host, port, udp, ret);
	else if (verdict == NET_SPECIAL)
		allow_target(address[0] ? address : host, port, udp, ret);
	else if (verdict == NET_BLOCKED)
		unblock(p, rule, ret);
	else if (verdict == NET_TOO_MANY && most > 0 && most < CONNECTIONS_MAX)
		advice_line(ret, "network.max_connections: %llu",
			    (unsigned long long)twice(most, CONNECTIONS_MAX));
	else if (verdict == NET_TOO_MANY)
		advice_why(ret, "there are as many connections as there can be");
	else if (verdict < NET_VERDICTS && network_why[verdict])
		advice_why(ret, "%s", network_why[verdict]);
	if (verdict == NET_TOO_MANY && ret->allow[0] != '\0')
		advice_why(ret, "if the host lets a process open enough files, six for each");
}

/* What all processes together, or one, may have; the bounds are those of policy/keys.c. */
static const struct {
	const char *limit, *key;
	uint64_t max;
	bool bytes;
} limits[] = {
	{ "memory_limit_bytes", "resources.memory_limit_bytes", UINT64_C(1) << 50, true },
	{ "swap_limit_bytes", "resources.swap_limit_bytes", UINT64_C(1) << 50, true },
	{ "pids_limit", "resources.pids_limit", 4194304, false },
	{ "session_timeout_seconds", "resources.session_timeout_seconds", 366 * 24 * 3600, false },
	{ "cpu_time_seconds", "resources.cpu_time_seconds", 366 * 24 * 3600, false },
	{ "open_files", "resources.open_files", 1 << 20, false },
	{ "file_size_bytes", "resources.file_size_bytes", UINT64_C(1) << 50, true },
	{ "stack_bytes", "resources.stack_bytes", UINT64_C(1) << 40, true },
	{ "scratch_bytes", "filesystem.scratch_bytes", UINT64_C(1) << 40, true },
	{ "max_connections", "network.max_connections", CONNECTIONS_MAX, false },
};

/* @name: a key, with its section or without; @value: what it is now; 0: not known. */
static void limit(const char *name, uint64_t value, struct advice *ret)
{
	static const char units[] = "\0KMGT";
	unsigned unit = 0;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (!streq(name, limits[i].limit) && !streq(name, limits[i].key))
			continue;
		if (value == 0 || value >= limits[i].max) {
			advice_why(ret, "%s says how much", limits[i].key);
			return;
		}
		value = twice(value, limits[i].max);
		for (; limits[i].bytes && unit < 4 && value % 1024 == 0; unit++)
			value /= 1024;
		advice_line(ret, "%s: %llu%.1s", limits[i].key, (unsigned long long)value,
			    units + unit);
		return;
	}
}

/* A text as an item of a YAML list in brackets. False: a policy cannot have it. */
static bool quote(const char *s, char *ret, size_t size)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+@";
	bool bare = s[strspn(s, plain)] == '\0';
	size_t n = 0;

	/* The line is printed as it is; and the policy is UTF-8, without control characters. */
	if (!event_is_printable(s, strlen(s)) || strchr(s, '$'))
		return false;
	if (!bare)
		ret[n++] = '"';
	while (*s != '\0') {
		if (n + 4 > size)
			return false;
		if (*s == '"' || *s == '\\')
			ret[n++] = '\\';
		ret[n++] = *s++;
	}
	if (!bare)
		ret[n++] = '"';
	ret[n] = '\0';
	return true;
}

/* The entry of the plan that lies over @path, its target in *target; NULL: none does. */
static const struct plan_mount *mount_of(const struct advice_policy *p, const char *path,
					 const char **target)
{
	const struct plan_mount *m = p->plan ? plan_items(p->plan, mounts, struct plan_mount)
					     : NULL,
				*best = NULL;
	size_t longest = 0;

	for (uint32_t i = 0; m && i < p->plan->mounts.count; i++) {
		const char *at = m[i].kind == PM_WORKSPACE ? p->workspace
							   : plan_string(p->plan, m[i].target);

		if (!at || at[0] != '/' || !path_below(path, at) || strlen(at) < longest)
			continue;
		longest = strlen(at);
		best = &m[i];
		*target = at;
	}
	return best;
}

static const struct plan_mount *find_kind(const struct advice_policy *p, enum plan_mount_kind kind)
{
	const struct plan_mount *m = p->plan ? plan_items(p->plan, mounts, struct plan_mount)
					     : NULL;

	for (uint32_t i = 0; m && i < p->plan->mounts.count; i++)
		if (m[i].kind == kind)
			return &m[i];
	return NULL;
}

/* By filesystem.system, not by a list of paths. */
static bool is_system(const char *path)
{
	static const char *const dirs[] = { "/usr",   "/bin",	"/sbin", "/lib",
					    "/lib32", "/lib64", "/opt",	 "/nix/store" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (streq(path, dirs[i]))
			return true;
	return false;
}

/* What has a key of its own. True: @ret says all there is to say. */
static bool special_file(const struct advice_policy *p, const char *path, bool write,
			 struct advice *ret)
{
	static const char *const system[] = { "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt" };

	if (path_below(path, "/proc")) {
		if (p->plan && !find_kind(p, PM_PROC) && !write)
			advice_line(ret, "filesystem.proc: masked");
		else
			advice_why(
				ret,
				"what of /proc tells of or changes the whole kernel stays covered");
		return true;
	}
	if (path_below(path, "/sys")) {
		if (p->plan && !find_kind(p, PM_SYSFS) && !write)
			advice_line(ret, "filesystem.sys: true");
		else
			advice_why(ret,
				   "what of /sys tells of or changes the machine stays covered");
		return true;
	}
	if (path_below(path, "/dev")) {
		advice_why(
			ret,
			"the host's devices cannot be given: devices.allow is not supported yet");
		return true;
	}
	if (p->workspace && path_below(path, p->workspace) && !streq(p->workspace, "/")) {
		const struct plan_mount *m = find_kind(p, PM_WORKSPACE);

		/* It is what is asked for already; who is told to take a review away, may do so. */
		if (m && !(write && m->flags & PMF_RDONLY)) {
			advice_why(ret,
				   "the workspace may be %s; the owner or the mode of the "
				   "file, or what is mounted there, refused it",
				   write ? "written" : "read");
			return true;
		}
		advice_line(ret, "filesystem.workspace: %s", write ? "direct" : "read-only");
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(system) && p->plan && !write; i++) {
		const char *at;

		if (!path_below(path, system[i]) || mount_of(p, system[i], &at))
			continue;
		advice_line(ret, "filesystem.system: true");
		return true;
	}
	return false;
}

/* Where on the host it is that lies at @path; @m is at @target. */
static bool host_path(const struct advice_policy *p, const struct plan_mount *m, const char *target,
		      const char *path, char *ret, size_t size)
{
	const char *source = m && m->kind == PM_BIND ? plan_string(p->plan, m->source) : NULL;

	return snprintf(ret, size, "%s%s", source ? source : "",
			source ? path + strlen(target) : path) < (int)size;
}

static void bind_line(const struct advice_policy *p, const char *path, bool write,
		      struct advice *ret)
{
	static const char *const keys[] = { "filesystem.immutable_paths",
					    "filesystem.writable_paths" };
	char host[PATH_NORMAL_MAX], inside[ADVICE_LINE], outside[ADVICE_LINE];
	const struct policy_forbidden *f;
	const struct plan_mount *m;
	const char *target = "";
	bool above;

	m = mount_of(p, path, &target);
	if (m && m->kind == PM_OVERLAY) {
		advice_why(ret,
			   "%.120s may be written; the owner or the mode of the file refused it",
			   target);
		return;
	}
	if (m && m->kind == PM_OUTPUT) {
		advice_why(ret,
			   "%.150s takes results (filesystem.output_paths): they are read on the "
			   "host, when the sandbox has ended",
			   target);
		return;
	}
	if (m && m->kind != PM_BIND && m->kind != PM_SCRATCH && m->kind != PM_WORKSPACE &&
	    (m->kind != PM_DIR || streq(path, target))) {
		advice_why(ret, "%.150s is Purple's own in there", target);
		return;
	}
	if (!host_path(p, m, target, path, host, sizeof(host)) ||
	    !quote(path, inside, sizeof(inside)) || !quote(host, outside, sizeof(outside))) {
		advice_why(
			ret,
			"a policy cannot name it: too long, or with characters that are no text");
		return;
	}
	f = policy_forbidden(host, write, &above);
	/* policy_validate() refuses a path that is in both lists. */
	if (!f && write && m && m->kind == PM_BIND && streq(path, target) && !is_system(path))
		advice_why(
			ret,
			"two changes: take %.60s out of filesystem.immutable_paths, and put it into "
			"filesystem.writable_paths",
			path);
	else if (f && above)
		advice_why(
			ret,
			"no policy may give all of %.80s%s, since %.60s is there; name something "
			"else in it, or use /tmp",
			path, f->write_only ? " to be written" : "", f->path);
	else if (f)
		advice_why(ret, "no policy may give %.100s%s: %s", f->path,
			   f->write_only ? " to be written" : "", f->why);
	else if (streq(host, path))
		advice_line(ret, "%s: [%s]", keys[write], inside);
	else
		advice_line(ret, "%s: [{host_path: %s, sandbox_path: %s}]", keys[write], outside,
			    inside);
}

static void file(const struct advice_policy *p, const char *path, const char *access,
		 struct advice *ret)
{
	bool parent = streq(access, "create") || streq(access, "remove");
	bool write = parent || streq(access, "write");
	char normal[PATH_NORMAL_MAX];
	char *slash;

	if (path[0] != '/' || strstr(path, "/../") || !path_normal(path, normal, sizeof(normal)) ||
	    str_after(normal + strlen(normal) - MIN(strlen(normal), (size_t)3), "/..")) {
		advice_why(ret, "a policy has absolute paths, without \"..\"");
		return;
	}
	slash = strrchr(normal, '/');
	if (parent)
		slash[slash == normal] = '\0';
	if (streq(normal, "/"))
		advice_why(ret, "no policy may give all of /; name what is needed");
	else if (!special_file(p, normal, write, ret))
		bind_line(p, normal, write, ret);
}

/* The field's text in @ret; "" where it is not set, or too long. */
static void text_of(const struct event *ev, enum event_field f, char *ret, size_t size)
{
	const struct event_value *v = event_get(ev, f);

	ret[0] = '\0';
	if (!v || v->len >= size || memchr(v->data, '\0', v->len))
		return;
	memcpy(ret, v->data, v->len);
	ret[v->len] = '\0';
}

static uint64_t number_of(const struct event *ev, enum event_field f)
{
	const struct event_value *v = event_get(ev, f);

	return v ? v->number : 0;
}

static void advise_file(const struct event *ev, const struct advice_policy *p, struct advice *ret)
{
	char path[EVENT_TEXT_MAX + 1], access[16], layer[16];

	text_of(ev, EF_PATH, path, sizeof(path));
	text_of(ev, EF_ACCESS, access, sizeof(access));
	text_of(ev, EF_LAYER, layer, sizeof(layer));
	if (streq(layer, "protect"))
		advice_why(ret, "the host would run or obey it; filesystem.protect: "
				"[\"!PATTERN\"] takes it out");
	else
		file(p, path, access, ret);
}

static void advise_call(const struct event *ev, const struct advice_policy *p, struct advice *ret)
{
	const struct event_value *hex = event_get(ev, EF_ARGS);
	uint64_t args[6] = { 0 };
	char name[64];

	text_of(ev, EF_SYSCALL, name, sizeof(name));
	if (hex)
		memcpy(args, hex->data, MIN(hex->len, ARRAY_SIZE(args)) * sizeof(args[0]));
	advice_syscall(p->plan, advice_call_number(name), args, ret);
}

/* Of a sandbox without a network: it takes one, and a rule in it. */
static void isolated(const char *host, uint16_t port, bool udp, struct advice *ret)
{
	char target[300];

	put_target(host, port, udp, target, sizeof(target));
	if (port == 0)
		advice_why(ret, "network.isolated: false gives it a network");
	else
		advice_why(
			ret,
			"two lines: network.isolated: false; network.allow_outgoing: [\"%.100s\"]",
			target);
}

static void advise_network(const struct event *ev, const struct advice_policy *p,
			   struct advice *ret)
{
	char host[300], address[64] = "", rule[300], reason[64], proto[8] = "";
	unsigned verdict = 0;
	uint16_t port = 0;

	text_of(ev, EF_HOST, host, sizeof(host));
	text_of(ev, EF_RULE, rule, sizeof(rule));
	text_of(ev, EF_REASON, reason, sizeof(reason));
	if (ev->type == EV_NET_DENIED) {
		text_of(ev, EF_ADDRESS, address, sizeof(address));
		text_of(ev, EF_PROTO, proto, sizeof(proto));
		port = (uint16_t)number_of(ev, EF_PORT);
	}
	if (streq(reason, "isolated")) {
		isolated(host, port, streq(proto, "udp"), ret);
		return;
	}
	for (unsigned i = 1; i < NET_VERDICTS; i++)
		if (streq(reason, net_verdict_name((enum net_verdict)i)))
			verdict = i;
	network(p, (enum net_verdict)verdict, host, address, port, streq(proto, "udp"), rule, ret);
}

void advice_of(const struct event *ev, const struct advice_policy *p, struct advice *ret)
{
	char name[64];

	memset(ret, 0, sizeof(*ret));
	switch (ev->type) {
	case EV_FILE_DENIED:
		advise_file(ev, p, ret);
		break;
	case EV_DNS_DENIED:
	case EV_NET_DENIED:
		advise_network(ev, p, ret);
		break;
	case EV_SYSCALL_DENIED:
		advise_call(ev, p, ret);
		break;
	case EV_LIMIT_REACHED:
		text_of(ev, EF_LIMIT, name, sizeof(name));
		limit(name, number_of(ev, EF_VALUE), ret);
		break;
	default:
		break;
	}
}
