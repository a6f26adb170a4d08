/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

const char *const event_severity_names[ES_SEVERITIES] = { "info", "notice", "warning", "error" };

/* clang-format off */
const struct event_field_info event_fields[EVENT_FIELDS] = {
	[EF_PROFILE] = { "profile", EK_TEXT },
	[EF_PLAN] = { "plan", EK_TEXT },
	[EF_COMMAND] = { "command", EK_LIST },
	[EF_WORKSPACE] = { "workspace", EK_TEXT },
	[EF_CWD] = { "cwd", EK_TEXT },
	[EF_PID] = { "pid", EK_U64 },
	[EF_PPID] = { "ppid", EK_U64 },
	[EF_UID] = { "uid", EK_U64 },
	[EF_PATH] = { "path", EK_TEXT },
	[EF_ARGV] = { "argv", EK_LIST },
	[EF_ACCESS] = { "access", EK_TEXT },
	[EF_SOURCE] = { "source", EK_TEXT },
	[EF_LAYER] = { "layer", EK_TEXT },
	[EF_ERROR] = { "error", EK_TEXT },
	[EF_RULE] = { "rule", EK_TEXT },
	[EF_ALLOW] = { "allow", EK_TEXT },
	[EF_ADVICE] = { "advice", EK_TEXT },
	[EF_HOST] = { "host", EK_TEXT },
	[EF_ADDRESS] = { "address", EK_TEXT },
	[EF_PORT] = { "port", EK_U64 },
	[EF_PROTO] = { "proto", EK_TEXT },
	[EF_METHOD] = { "method", EK_TEXT },
	[EF_SYSCALL] = { "syscall", EK_TEXT },
	[EF_ARGS] = { "args", EK_HEX },
	[EF_COUNT] = { "count", EK_U64 },
	[EF_LIMIT] = { "limit", EK_TEXT },
	[EF_VALUE] = { "value", EK_U64 },
	[EF_STAGE] = { "stage", EK_TEXT },
	[EF_MESSAGE] = { "message", EK_TEXT },
	[EF_STATUS] = { "status", EK_I64 },
	[EF_SIGNAL] = { "signal", EK_U64 },
	[EF_REASON] = { "reason", EK_TEXT },
	[EF_DURATION_MS] = { "duration_ms", EK_U64 },
	[EF_CPU_US] = { "cpu_us", EK_U64 },
	[EF_MEMORY_PEAK] = { "memory_peak", EK_U64 },
	[EF_CHANGES_ADDED] = { "changes_added", EK_U64 },
	[EF_CHANGES_MODIFIED] = { "changes_modified", EK_U64 },
	[EF_CHANGES_DELETED] = { "changes_deleted", EK_U64 },
	[EF_BYTES] = { "bytes", EK_U64 },
	[EF_FILE] = { "file", EK_TEXT },
	[EF_TEXT] = { "text", EK_TEXT },
	[EF_EXPECT] = { "expect", EK_LIST },
};

/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define FIELDS(...) { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

const struct event_info event_table[EVENT_TYPES] = {
	[EV_SANDBOX_CREATED] = { "sandbox.created", EC_LIFE, ES_INFO,
		FIELDS(EF_PROFILE, EF_PLAN, EF_COMMAND, EF_WORKSPACE, EF_UID, EF_PID),
		"created under {profile}: {command}" },
	[EV_SANDBOX_STARTED] = { "sandbox.started", EC_LIFE, ES_INFO,
		FIELDS(EF_PID),
		"started" },
	[EV_SANDBOX_ENDED] = { "sandbox.ended", EC_LIFE, ES_INFO,
		FIELDS(EF_STATUS, EF_SIGNAL, EF_REASON, EF_DURATION_MS, EF_CPU_US, EF_MEMORY_PEAK,
		       EF_CHANGES_ADDED, EF_CHANGES_MODIFIED, EF_CHANGES_DELETED),
		"ended: {reason}, status {status}" },
	[EV_SETUP_ERROR] = { "setup.error", EC_LIFE, ES_ERROR,
		FIELDS(EF_STAGE, EF_MESSAGE, EF_ERROR),
		"not started: {stage}: {message} ({error})" },
	[EV_LAYER_DOWNGRADED] = { "layer.downgraded", EC_LIFE, ES_WARNING,
		FIELDS(EF_LAYER, EF_REASON),
		"{layer} is not enforced: {reason}" },
	[EV_POLICY_CHANGED] = { "policy.changed", EC_LIFE, ES_NOTICE,
		FIELDS(EF_RULE, EF_MESSAGE, EF_UID, EF_PID),
		"policy changed: {message} {rule}" },
	[EV_EXEC_REQUESTED] = { "exec.requested", EC_LIFE, ES_INFO,
		FIELDS(EF_COMMAND, EF_CWD, EF_UID, EF_PID),
		"asked to run {command}" },
	[EV_PROCESS_EXEC] = { "process.exec", EC_SECURITY, ES_INFO,
		FIELDS(EF_PID, EF_PPID, EF_PATH, EF_ARGV, EF_CWD, EF_SOURCE, EF_ERROR),
		"executed {path}: {argv}" },
	[EV_PROCESS_EXIT] = { "process.exit", EC_SECURITY, ES_INFO,
		FIELDS(EF_PID, EF_PPID, EF_PATH, EF_STATUS, EF_SIGNAL, EF_SOURCE),
		"{path} exited: status {status}" },
	[EV_FILE_WRITE] = { "file.write", EC_FILESYSTEM, ES_NOTICE,
		FIELDS(EF_PID, EF_PATH, EF_ACCESS, EF_SOURCE, EF_COUNT),
		"opened for writing outside the workspace: {path}" },
	[EV_FILE_OPEN] = { "file.open", EC_FILESYSTEM, ES_INFO,
		FIELDS(EF_PID, EF_PATH, EF_ACCESS, EF_SOURCE, EF_COUNT),
		"opened: {path} ({access})" },
	[EV_FILE_DENIED] = { "file.denied", EC_FILESYSTEM | EC_SECURITY, ES_WARNING,
		FIELDS(EF_PID, EF_PATH, EF_ACCESS, EF_ERROR, EF_LAYER, EF_RULE, EF_ALLOW,
		       EF_ADVICE, EF_SOURCE, EF_COUNT),
		"refused: {access} {path} ({error}, {layer})" },
	[EV_DNS_ALLOWED] = { "dns.allowed", EC_NETWORK, ES_INFO,
		FIELDS(EF_HOST, EF_ADDRESS, EF_COUNT),
		"looked up {host}" },
	[EV_DNS_DENIED] = { "dns.denied", EC_NETWORK | EC_SECURITY, ES_WARNING,
		FIELDS(EF_HOST, EF_REASON, EF_RULE, EF_ALLOW, EF_ADVICE, EF_COUNT),
		"refused: look-up of {host}: {reason}" },
	[EV_NET_ALLOWED] = { "net.allowed", EC_NETWORK, ES_INFO,
		FIELDS(EF_HOST, EF_ADDRESS, EF_PORT, EF_PROTO, EF_COUNT),
		"connected to {host} port {port}/{proto}" },
	[EV_NET_DENIED] = { "net.denied", EC_NETWORK | EC_SECURITY, ES_WARNING,
		FIELDS(EF_HOST, EF_ADDRESS, EF_PORT, EF_PROTO, EF_REASON, EF_RULE, EF_ALLOW,
		       EF_ADVICE, EF_COUNT),
		"refused: connection to {host} port {port}/{proto}: {reason}" },
	[EV_NET_LOST] = { "net.lost", EC_LIFE, ES_ERROR,
		FIELDS(EF_REASON),
		"purple-net died: {reason}" },
	[EV_API_CALL] = { "api.call", EC_API, ES_INFO,
		FIELDS(EF_HOST, EF_PORT, EF_METHOD, EF_PATH, EF_COUNT),
		"{method} http://{host}:{port}{path}" },
	[EV_SYSCALL_DENIED] = { "syscall.denied", EC_SYSCALL | EC_SECURITY, ES_WARNING,
		FIELDS(EF_PID, EF_PATH, EF_SYSCALL, EF_ARGS, EF_ERROR, EF_RULE, EF_ALLOW, EF_ADVICE,
		       EF_COUNT),
		"refused: system call {syscall} of {path} ({error})" },
	[EV_OUTPUT] = { "output.collected", EC_LIFE, ES_INFO,
		FIELDS(EF_PATH, EF_BYTES, EF_ERROR, EF_COUNT),
		"collected {path}, {bytes} bytes ({error})" },
	[EV_LIMIT_REACHED] = { "limit.reached", EC_RESOURCE, ES_WARNING,
		FIELDS(EF_LIMIT, EF_VALUE, EF_COUNT, EF_MESSAGE, EF_ALLOW, EF_ADVICE),
		"limit reached: {limit}: {message}" },
	[EV_INTENT] = { "intent", EC_LIFE, ES_NOTICE,
		FIELDS(EF_TEXT, EF_EXPECT, EF_UID, EF_PID),
		"means to: {text}" },
	[EV_AUDIT_OPENED] = { "audit.opened", EC_LIFE, ES_INFO,
		FIELDS(EF_FILE, EF_REASON),
		"trail opened ({reason})" },
	[EV_AUDIT_GAP] = { "audit.gap", EC_LIFE, ES_ERROR,
		FIELDS(EF_COUNT, EF_REASON),
		"lines are missing ({count}): {reason}" },
};
/* clang-format on */

int event_type_find(const char *name)
{
	for (int i = 0; i < EVENT_TYPES; i++)
		if (streq(event_table[i].name, name))
			return i;
	return -1;
}

static int place(const struct event *ev, enum event_field f)
{
	const struct event_info *info = &event_table[ev->type];

	for (int i = 0; i < info->fields_count; i++)
		if (info->fields[i] == f)
			return i;
	return -1;
}

static struct event_value *set(struct event *ev, enum event_field f, enum event_kind kind)
{
	int i = place(ev, f);

	if (i < 0 || event_fields[f].kind != kind)
		abort();
	ev->set |= UINT64_C(1) << f;
	return &ev->values[i];
}

void event_bytes(struct event *ev, enum event_field f, const void *data, size_t len)
{
	*set(ev, f, EK_TEXT) = (struct event_value){ .data = data, .len = len };
}

void event_text(struct event *ev, enum event_field f, const char *s)
{
	if (s)
		event_bytes(ev, f, s, strlen(s));
}

void event_number(struct event *ev, enum event_field f, uint64_t value)
{
	set(ev, f, event_fields[f].kind == EK_I64 ? EK_I64 : EK_U64)->number = value;
}

void event_list(struct event *ev, enum event_field f, const char *strings, size_t len)
{
	*set(ev, f, EK_LIST) = (struct event_value){ .data = strings, .len = len };
}

void event_hex(struct event *ev, enum event_field f, const uint64_t *values, size_t count)
{
	*set(ev, f, EK_HEX) = (struct event_value){ .data = values, .len = count };
}

const struct event_value *event_get(const struct event *ev, enum event_field f)
{
	return ev->set >> f & 1 ? &ev->values[place(ev, f)] : NULL;
}
