/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/check.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/pattern.h"
#include "base/str.h"
#include "policy/netrule.h"
#include "policy/publish.h"

enum { POLICY_PATH_MAX = 4095 };

int why_set(struct check_why *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* "/…", "~", "~/…", ".", "./…", "${HOME}…" */
static bool path_start_ok(const char *s)
{
	int v = path_variable(s);

	if (v >= 0 && path_variables[v].normal) {
		s += strlen(path_variables[v].name);
		return *s == '\0' || *s == '/';
	}
	return s[0] == '/' || ((s[0] == '~' || s[0] == '.') && (s[1] == '\0' || s[1] == '/'));
}

static bool has_dotdot(const char *s)
{
	for (; s; s = strchr(s, '/')) {
		s += *s == '/';
		if (s[0] == '.' && s[1] == '.' && (s[2] == '\0' || s[2] == '/'))
			return true;
	}
	return false;
}

int check_path(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	if (text[0] == '\0')
		return why_set(why, "an empty path; write one that starts with / or ~/");
	if (strlen(text) > POLICY_PATH_MAX)
		return why_set(why, "a path of more than 4095 bytes");
	for (const char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return why_set(why, "a control character in a path");
	if (has_dotdot(text))
		return why_set(why, "'..' in a path; write where it leads to");
	for (const char *s = text; (s = strchr(s, '$')); s++)
		if (path_variable(s) < 0)
			return why_set(
				why,
				"unknown variable in %.100s; known are ${HOME} ${WORKSPACE} "
				"${USER} ${XDG_CONFIG_HOME} ${XDG_CACHE_HOME} ${XDG_DATA_HOME}",
				text);
	if (!path_start_ok(text))
		return why_set(why,
			       "%.100s is neither absolute nor known; start it with /, ~/ or ./",
			       text);
	return 0;
}

int check_inner_path(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	char normal[POLICY_PATH_MAX + 16];

	if (check_path(a, text, ret, why) < 0)
		return -EINVAL;
	if (path_normal(text, normal, sizeof(normal)) && streq(normal, "/"))
		return why_set(why, "the root directory itself; name a directory below it");
	return 0;
}

int check_pattern(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	struct path_pattern p;
	const char *wrong;

	for (const char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return why_set(why,
				       "a control character in a pattern; write ? in its place");
	if (path_pattern_compile(&p, text, &wrong) == 0)
		return 0;
	return why_set(why, "%.100s is no pattern: %s; write as \"**/.env\" or \"*.pem\"", text,
		       wrong);
}

int check_protect(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	return check_pattern(a, text + (*text == '!'), ret, why);
}

int check_syscall(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (n == 0 || n > 64 || text[n] != '\0')
		return why_set(why, "%.64s is not the name of a system call", text);
	return 0;
}

/* capabilities(7), in the kernel's order; @risk: what adding it gives away. */
static const struct {
	const char *name, *risk;
} capabilities[] = {
	{ "CAP_CHOWN", NULL },
	{ "CAP_DAC_OVERRIDE", NULL },
	{ "CAP_DAC_READ_SEARCH", "opens files by handle, past every mount (shocker)" },
	{ "CAP_FOWNER", NULL },
	{ "CAP_FSETID", NULL },
	{ "CAP_KILL", NULL },
	{ "CAP_SETGID", NULL },
	{ "CAP_SETUID", NULL },
	{ "CAP_SETPCAP", "puts back capabilities that were dropped" },
	{ "CAP_LINUX_IMMUTABLE", NULL },
	{ "CAP_NET_BIND_SERVICE", NULL },
	{ "CAP_NET_BROADCAST", NULL },
	{ "CAP_NET_ADMIN", "changes the sandbox's network rules" },
	{ "CAP_NET_RAW", "sends packets of any form" },
	{ "CAP_IPC_LOCK", NULL },
	{ "CAP_IPC_OWNER", NULL },
	{ "CAP_SYS_MODULE", "loads code into the kernel" },
	{ "CAP_SYS_RAWIO", "reaches the hardware and all memory" },
	{ "CAP_SYS_CHROOT", NULL },
	{ "CAP_SYS_PTRACE", "reads and changes other processes" },
	{ "CAP_SYS_PACCT", NULL },
	{ "CAP_SYS_ADMIN", "mounts, and undoes most of the sandbox" },
	{ "CAP_SYS_BOOT", "restarts the machine" },
	{ "CAP_SYS_NICE", NULL },
	{ "CAP_SYS_RESOURCE", "lifts resource limits" },
	{ "CAP_SYS_TIME", "sets the machine's clock" },
	{ "CAP_SYS_TTY_CONFIG", NULL },
	{ "CAP_MKNOD", "makes device nodes" },
	{ "CAP_LEASE", NULL },
	{ "CAP_AUDIT_WRITE", NULL },
	{ "CAP_AUDIT_CONTROL", "changes the kernel's audit rules" },
	{ "CAP_SETFCAP", "puts capabilities on files" },
	{ "CAP_MAC_OVERRIDE", "overrides the machine's access control" },
	{ "CAP_MAC_ADMIN", "changes the machine's access control" },
	{ "CAP_SYSLOG", "reads the kernel's log" },
	{ "CAP_WAKE_ALARM", NULL },
	{ "CAP_BLOCK_SUSPEND", NULL },
	{ "CAP_AUDIT_READ", "reads the kernel's audit trail" },
	{ "CAP_PERFMON", "observes the whole kernel" },
	{ "CAP_BPF", "loads programs into the kernel" },
	{ "CAP_CHECKPOINT_RESTORE", NULL },
};

/* The index in capabilities[], or -1 and what is wrong. */
static int find_cap(const char *text, struct check_why *why)
{
	const char *bare = strncasecmp(text, "CAP_", 4) == 0 ? text + 4 : text;
	unsigned best_distance = 4;
	const char *best = NULL;
	char upper[64];
	size_t n;

	for (n = 0; bare[n] != '\0' && n + 1 < sizeof(upper); n++)
		upper[n] = (char)toupper((unsigned char)bare[n]);
	upper[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
		unsigned d = str_distance(capabilities[i].name + 4, upper);

		if (d == 0 && bare[n] == '\0')
			return (int)i;
		if (d < best_distance) {
			best_distance = d;
			best = capabilities[i].name;
		}
	}
	if (best)
		why_set(why, "unknown capability %.64s; did you mean %s?", text, best);
	else
		why_set(why, "unknown capability %.64s; capabilities(7) lists them", text);
	return -1;
}

int check_cap_add(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	int i;

	if (strcasecmp(text, "ALL") == 0)
		return why_set(why, "ALL would undo the sandbox; name each capability");
	i = find_cap(text, why);
	if (i < 0)
		return -EINVAL;
	*ret = capabilities[i].name;
	if (capabilities[i].risk)
		why_set(why, "%s %s; add it only to programs that you trust", *ret,
			capabilities[i].risk);
	return 0;
}

int check_cap_drop(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	int i;

	*ret = "ALL";
	if (strcasecmp(text, "ALL") == 0)
		return 0;
	i = find_cap(text, why);
	if (i < 0)
		return -EINVAL;
	*ret = capabilities[i].name;
	return 0;
}

static int check_rule(struct arena *a, const char *text, const char **ret, struct check_why *why,
		      struct net_rule *r)
{
	const char *message;
	char buf[320];

	if (net_rule_parse(text, r, &message) < 0)
		return why_set(why, "%.64s: %s", text, message);
	net_rule_format(r, buf, sizeof(buf));
	*ret = arena_strdup(a, buf);
	return 0;
}

static bool one_address(const struct net_rule *r)
{
	return (r->host == NET_V4 && r->prefix == 32) || (r->host == NET_V6 && r->prefix == 128);
}

int check_net_rule(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	struct net_rule r;

	if (check_rule(a, text, ret, why, &r) < 0)
		return -EINVAL;
	if ((r.host == NET_NAME && streq(r.name, "localhost")) ||
	    (r.host == NET_V4 && r.addr[0] == 127))
		why_set(why,
			"%.64s is the sandbox itself; what listens on this host's loopback is "
			"host.purple.internal",
			text);
	if (r.host == NET_WILDCARD && !strchr(r.name, '.'))
		why_set(why, "%.64s allows a whole top-level domain", text);
	if (r.prefix == 0 && (r.host == NET_V4 || r.host == NET_V6))
		why_set(why, "%.64s allows every address", text);
	return 0;
}

int check_net_listen(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	struct net_publish p;
	const char *message;
	char buf[NET_PUBLISH_TEXT];

	if (net_publish_parse(text, &p, &message) < 0)
		return why_set(why, "%.64s: %s", text, message);
	if (net_publish_everywhere(&p))
		why_set(why, "%.64s is open to every host that can reach this one", text);
	net_publish_format(&p, buf);
	*ret = arena_strdup(a, buf);
	return 0;
}

int check_net_target(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	struct net_rule r;

	if (check_rule(a, text, ret, why, &r) < 0)
		return -EINVAL;
	if (r.host == NET_ANY)
		return why_set(why,
			       "%.64s: write an address, a block such as 10.0.0.0/8, or a name",
			       text);
	return 0;
}

int check_net_addr(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	struct net_rule r;

	if (check_rule(a, text, ret, why, &r) < 0)
		return -EINVAL;
	if (!one_address(&r))
		return why_set(why, "%.64s: write an address such as 9.9.9.9", text);
	return 0;
}

/* Length of the name at the start of @s, 0: none. */
static size_t env_name_len(const char *s)
{
	size_t n = 0;

	while (isalpha((unsigned char)s[n]) || s[n] == '_' ||
	       (n > 0 && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

bool env_name_ok(const char *name)
{
	size_t n = env_name_len(name);

	return n > 0 && n <= 256 && name[n] == '\0';
}

int check_env_pass(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	size_t n = env_name_len(text);

	if (streq(text, "*"))
		return why_set(why, "every variable, secrets too; name those that are needed");
	if (n == 0 || n > 256 || (text[n] != '\0' && !streq(text + n, "*")))
		return why_set(why, "%.64s is not the name of a variable, nor a beginning and '*'",
			       text);
	return 0;
}

static bool cdi_name(const char *s)
{
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t vendor = strspn(s, word), class, name;

	if (vendor == 0 || s[vendor] != '/')
		return false;
	s += vendor + 1;
	class = strspn(s, word);
	if (class == 0 || s[class] != '=')
		return false;
	s += class + 1;
	name = strspn(s, word);
	return name > 0 && s[name] == '\0';
}

int check_device(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	static const char *const refused[] = { "/dev/mem", "/dev/kmem", "/dev/port" };
	char normal[POLICY_PATH_MAX + 16];

	if (text[0] != '/' && cdi_name(text))
		return 0;
	if (text[0] != '/' || check_path(a, text, ret, why) < 0 ||
	    !path_normal(text, normal, sizeof(normal)) || !str_after(normal, "/dev/"))
		return why_set(why,
			       "%.64s: write a node such as /dev/kvm or a CDI device such as "
			       "vendor.com/class=name",
			       text);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (path_below(normal, refused[i]))
			return why_set(why, "%s gives away the whole machine", refused[i]);
	return 0;
}

/* Decimal, as the kernel reads the list itself. Returns what is behind it; NULL: no number. */
static const char *cpu_number(const char *s, unsigned *ret)
{
	const char *end = s;

	for (*ret = 0; *end >= '0' && *end <= '9' && end - s < 4; end++)
		*ret = *ret * 10 + (unsigned)(*end - '0');
	return end > s && *ret <= 4095 ? end : NULL;
}

int check_cpus(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	unsigned from, to;
	const char *end = cpu_number(text, &from);

	if (!end || (*end != '\0' && *end != '-'))
		return why_set(why, "%.64s: write a processor's number, or a range as 2-3", text);
	if (*end == '\0')
		return 0;
	end = cpu_number(end + 1, &to);
	if (!end || *end != '\0' || to < from)
		return why_set(why, "%.64s: a range goes from a number up to one", text);
	return 0;
}

int check_gpu(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	uint64_t v;

	if (!streq(text, "all") && (parse_u64(text, &v) < 0 || v > 255))
		return why_set(why, "%.64s: write all, or an index from 0 to 255", text);
	return 0;
}

const char *const audit_details[] = { "resource",  "filesystem",   "syscall",	      "network",
				      "api_calls", "budget_usage", "security_events", NULL };

int check_detail(struct arena *a, const char *text, const char **ret, struct check_why *why)
{
	const char *near = names_nearest(audit_details, text);

	if (names_index(audit_details, text) >= 0)
		return 0;
	if (near)
		return why_set(why, "%.64s; did you mean %s?", text, near);
	return why_set(why,
		       "%.64s is no detail; they are resource, filesystem, syscall, network, "
		       "api_calls, budget_usage, security_events",
		       text);
}
