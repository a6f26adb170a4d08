/* SPDX-License-Identifier: Apache-2.0 */
/* The option of `purple run` that says what a line of a policy does. */
#include <string.h>

#include "base/str.h"
#include "event/advice.h"

/* As policy/keys.c has them; a test holds the two together. */
static const struct {
	const char *key, *option;
} options[] = {
	{ "capabilities.add", "cap-add" },
	{ "filesystem.immutable_paths", "ro" },
	{ "filesystem.proc", "proc" },
	{ "filesystem.scratch_bytes", "scratch-size" },
	{ "filesystem.sys", "sys" },
	{ "filesystem.system", "system" },
	{ "filesystem.workspace", "workspace" },
	{ "filesystem.writable_paths", "rw" },
	{ "nesting", "nesting" },
	{ "network.allow_outgoing", "allow-net" },
	{ "network.blocked_ips", "block-net" },
	{ "network.isolated", "isolated" },
	{ "network.loopback", "loopback" },
	{ "network.max_connections", "max-connections" },
	{ "resources.cpu_time_seconds", "cpu-time" },
	{ "resources.file_size_bytes", "file-size" },
	{ "resources.memory_limit_bytes", "memory" },
	{ "resources.open_files", "open-files" },
	{ "resources.pids_limit", "pids-limit" },
	{ "resources.session_timeout_seconds", "timeout" },
	{ "resources.stack_bytes", "stack-size" },
	{ "resources.swap_limit_bytes", "swap" },
	{ "syscalls.allow", "allow-syscall" },
	{ "syscalls.deny", "deny-syscall" },
};

struct out {
	char *text;
	size_t len;
};

static void add(struct out *o, const char *s, size_t n)
{
	if (o->len + n >= ADVICE_OPTION) {
		o->len = ADVICE_OPTION; /* too long: nothing */
		return;
	}
	memcpy(o->text + o->len, s, n);
	o->len += n;
}

static void puts_to(struct out *o, const char *s)
{
	add(o, s, strlen(s));
}

/* @prefix and @value as one word of a shell. */
static void put_word(struct out *o, const char *prefix, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+@:,=";
	const bool quoted = value[strspn(value, plain)] != '\0';

	puts_to(o, prefix);
	puts_to(o, quoted ? "'" : "");
	for (; *value != '\0'; value++) {
		if (*value == '\'')
			puts_to(o, "'\\''");
		else
			add(o, value, 1);
	}
	puts_to(o, quoted ? "'" : "");
}

/*
 * The scalar of YAML at @s, without its quotes, in @ret. Returns what is behind it; NULL: it is
 * none that this file's callers write.
 */
static const char *take_scalar(const char *s, char *ret, size_t size)
{
	const bool quoted = *s == '"';
	size_t n = 0;

	for (s += quoted; *s != '\0' && n + 1 < size; s++) {
		if (quoted ? *s == '"' : strchr(",]}", *s) != NULL)
			break;
		if (quoted && *s == '\\' && s[1] != '\0')
			s++;
		ret[n++] = *s;
	}
	ret[n] = '\0';
	if (quoted && *s != '"')
		return NULL;
	return s + quoted;
}

static const char *option_of(const char *key, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strlen(options[i].key) == len && memcmp(options[i].key, key, len) == 0)
			return options[i].option;
	return NULL;
}

/* "{host_path: A, sandbox_path: B}": --ro A:B. */
static const char *take_bind(const char *s, struct out *o)
{
	char host[ADVICE_LINE], inside[ADVICE_LINE], both[2 * ADVICE_LINE];

	s = str_after(s, "{host_path: ");
	s = s ? take_scalar(s, host, sizeof(host)) : NULL;
	s = s ? str_after(s, ", sandbox_path: ") : NULL;
	s = s ? take_scalar(s, inside, sizeof(inside)) : NULL;
	s = s ? str_after(s, "}") : NULL;
	if (!s || strchr(host, ':'))
		return NULL;
	str_copy(both, sizeof(both), host);
	str_copy(both + strlen(both), sizeof(both) - strlen(both), ":");
	str_copy(both + strlen(both), sizeof(both) - strlen(both), inside);
	put_word(o, "", both);
	return s;
}

/* A colon and a path behind it would be taken for where it shall be inside. */
static bool is_ambiguous(const char *option, const char *value)
{
	if (!streq(option, "ro") && !streq(option, "rw"))
		return false;
	for (const char *c = strchr(value, ':'); c; c = strchr(c + 1, ':'))
		if (c[1] != '\0' && strchr("/~.$", c[1]))
			return true;
	return false;
}

/* "!replace [a, b]": --set KEY=a --set KEY+=b. The empty text only clears. */
static bool put_replaced(const char *key, size_t len, const char *s, struct out *o)
{
	char value[ADVICE_LINE];
	bool first = true;

	do {
		s = *s == ']' ? s : take_scalar(s, value, sizeof(value));
		if (!s)
			return false;
		puts_to(o, first ? "--set " : " --set ");
		if (first && *s == ']' && s[-1] == '[')
			value[0] = '\0';
		add(o, key, len);
		put_word(o, first ? "=" : "+=", value);
		first = false;
		s = str_after(s, ", ") ? s + 2 : s;
	} while (*s != ']' && *s != '\0');
	return *s == ']';
}

static bool put_option(const char *allow, struct out *o)
{
	const char *colon = strstr(allow, ": "), *s = colon ? colon + 2 : NULL, *option, *list;
	char value[ADVICE_LINE];

	option = colon ? option_of(allow, (size_t)(colon - allow)) : NULL;
	if (!option)
		return false;
	list = str_after(s, "!replace [");
	if (list)
		return put_replaced(allow, (size_t)(colon - allow), list, o);
	puts_to(o, "--");
	puts_to(o, option);
	if (streq(s, "true"))
		return true;
	if (streq(s, "false")) {
		puts_to(o, "=false");
		return true;
	}
	puts_to(o, " ");
	list = str_after(s, "[");
	if (list && *list == '{') {
		s = take_bind(list, o);
		return s && streq(s, "]");
	}
	s = take_scalar(list ? list : s, value, sizeof(value));
	if (!s || is_ambiguous(option, value))
		return false;
	put_word(o, "", value);
	return streq(s, list ? "]" : "");
}

void advice_option(const char *allow, char ret[ADVICE_OPTION])
{
	struct out o = { .text = ret };

	if (!put_option(allow, &o) || o.len >= ADVICE_OPTION)
		o.len = 0;
	ret[o.len] = '\0';
}
