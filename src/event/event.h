/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can happen: one table of event types with typed fields. The audit trail,
 * counters, spans, `purple events`, the report and the denials that an agent is
 * shown are all made from it; nothing else knows a type's name or fields.
 *
 * Theory of operation: whoever sees something fills a struct event (on the
 * stack; it borrows its strings) and gives it to supervisor_emit(), which counts
 * it and, if the plan's audit wants its class, makes the line of the trail
 * (event_encode()) and appends that (event/trail.h). Readers are programs of
 * their own; they read lines.
 *
 * A line is one JSON object (RFC 8259), without blanks, in this order:
 *
 *	{"seq":7,"time":"2026-11-24T18:49:53.123456789Z","sandbox":"ID",
 *	 "name":"NAME","type":"file.denied","severity":"warning", the type's
 *	 fields that are set, in the table's order, "prev":"64 hex digits"}
 *
 * Text from inside (paths, arguments, names of hosts) is hostile. A byte that
 * is no UTF-8, every control character (C0, DEL, C1), a line or paragraph separator and
 * every character that changes the direction of text (U+061C, U+200E, U+200F, U+202A-E,
 * U+2066-9) is written as \xNN, byte by byte, and a backslash as \\; in JSON that is
 * "\\xNN" and "\\\\". So a line is printable as it is, and the bytes can be had
 * back exactly (event_unescape()).
 */
#ifndef PURPLE_EVENT_EVENT_H
#define PURPLE_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum event_type {
	EV_SANDBOX_CREATED, /* the plan is known, nothing runs */
	EV_SANDBOX_STARTED, /* the command was released */
	EV_SANDBOX_ENDED,
	EV_SETUP_ERROR,
	EV_LAYER_DOWNGRADED,
	EV_POLICY_CHANGED, /* of a live one: `purple net allow`, … */
	EV_EXEC_REQUESTED, /* from outside: `purple exec` */
	EV_PROCESS_EXEC,
	EV_PROCESS_EXIT,
	EV_FILE_WRITE, /* opened for writing, outside the workspace */
	EV_FILE_OPEN,  /* any other; only where the source sees it */
	EV_FILE_DENIED,
	EV_DNS_ALLOWED,
	EV_DNS_DENIED,
	EV_NET_ALLOWED, /* a connection, or the first datagram of a flow */
	EV_NET_DENIED,
	EV_NET_LOST, /* purple-net died */
	EV_API_CALL, /* a request of plain HTTP */
	EV_SYSCALL_DENIED,
	EV_OUTPUT, /* a file of an output box was collected, or was not */
	EV_LIMIT_REACHED,
	EV_INTENT,	 /* what the agent said that it would do */
	EV_AUDIT_OPENED, /* the first line of a file */
	EV_AUDIT_GAP,	 /* what could not be written, or was cut off */
	EVENT_TYPES
};

/* What audit.detail_level chooses by; EC_LIFE is always written. */
enum event_class {
	EC_LIFE = 1 << 0,
	EC_RESOURCE = 1 << 1,
	EC_FILESYSTEM = 1 << 2,
	EC_SYSCALL = 1 << 3,
	EC_NETWORK = 1 << 4,
	EC_API = 1 << 5,
	EC_SECURITY = 1 << 6 /* processes, and whatever was refused */
};

enum event_severity { ES_INFO, ES_NOTICE, ES_WARNING, ES_ERROR, ES_SEVERITIES };
extern const char *const event_severity_names[ES_SEVERITIES]; /* "info", … */

/* Of what kind a field's value is, in the JSON as well. */
enum event_kind {
	EK_TEXT, /* string */
	EK_U64,	 /* number; at most 2^53, more is cut to that, for readers of doubles */
	EK_I64,	 /* number */
	EK_LIST, /* array of strings */
	EK_HEX	 /* array of strings "0x…": numbers of 64 bits */
};

/* Every field has one name and one kind, whatever type it is of. */
enum event_field {
	EF_PROFILE,
	EF_PLAN,      /* the plan's key, 64 hex digits */
	EF_COMMAND,   /* list: the arguments */
	EF_WORKSPACE, /* its path */
	EF_CWD,
	EF_PID,	   /* as the host sees it */
	EF_PPID,   /* likewise */
	EF_UID,	   /* of who asked, on the host */
	EF_PATH,   /* as it was named, or resolved; inside */
	EF_ARGV,   /* list */
	EF_ACCESS, /* "read", "write", "exec", "create", "remove" */
	EF_SOURCE, /* who saw it: "supervisor", "seccomp", "landlock", "ebpf", "net" */
	EF_LAYER,  /* that refused it: "seccomp", "landlock", "mount", "network", … */
	EF_ERROR,  /* "EPERM" … that the caller got */
	EF_RULE,   /* that refused it: a key of the policy, or what it says */
	EF_ALLOW,  /* the line of a policy that would allow it */
	EF_ADVICE, /* why no single line does, or what else it takes */
	EF_HOST,   /* a name or an address */
	EF_ADDRESS,
	EF_PORT,
	EF_PROTO, /* "tcp", "udp" */
	EF_METHOD,
	EF_SYSCALL,
	EF_ARGS, /* hex: the six arguments */
	EF_COUNT,
	EF_LIMIT, /* the policy's key: "memory_limit_bytes" */
	EF_VALUE,
	EF_STAGE,
	EF_MESSAGE,
	EF_STATUS,
	EF_SIGNAL,
	EF_REASON,
	EF_DURATION_MS,
	EF_CPU_US,
	EF_MEMORY_PEAK,	  /* bytes */
	EF_CHANGES_ADDED, /* how many files of the workspace wait for review */
	EF_CHANGES_MODIFIED,
	EF_CHANGES_DELETED,
	EF_BYTES,
	EF_FILE, /* of the trail before this one */
	EF_TEXT,
	EF_EXPECT, /* list */
	EVENT_FIELDS
};

enum { EVENT_FIELDS_MAX = 12 };							   /* of one type */
enum { EVENT_TEXT_MAX = 4096, EVENT_LIST_MAX = 4096, EVENT_LINE_MAX = 64 * 1024 }; /* bytes */

struct event_field_info {
	const char *name;
	enum event_kind kind;
};
extern const struct event_field_info event_fields[EVENT_FIELDS];

struct event_info {
	const char *name; /* "file.denied" */
	enum event_class class;
	enum event_severity severity;
	uint8_t fields[EVENT_FIELDS_MAX]; /* enum event_field; the first fields_count */
	uint8_t fields_count;
	/* For people: "{path} could not be opened for {access} ({error})". */
	const char *text;
};
extern const struct event_info event_table[EVENT_TYPES];

/* -1: no such type. */
int event_type_find(const char *name);

/* Text that is longer than EVENT_TEXT_MAX, and a longer list, is cut, and then ends in "…". */
struct event_value {
	/* EK_TEXT: bytes; EK_LIST: strings, each with its NUL; EK_HEX: uint64_t */
	const void *data;
	size_t len; /* EK_TEXT, EK_LIST: bytes; EK_HEX: how many */
	uint64_t number;
};

struct event {
	enum event_type type;
	uint64_t time_ns; /* CLOCK_REALTIME; 0: when it is emitted */
	uint64_t set;	  /* 1 << enum event_field */
	struct event_value values[EVENT_FIELDS_MAX];
};

/* Fields that the type does not have are a mistake of the program: abort(). */
void event_text(struct event *ev, enum event_field f, const char *s); /* NULL: not set */
void event_bytes(struct event *ev, enum event_field f, const void *data, size_t len);
void event_number(struct event *ev, enum event_field f, uint64_t value); /* EK_I64: as int64_t */
void event_list(struct event *ev, enum event_field f, const char *strings, size_t len);
void event_hex(struct event *ev, enum event_field f, const uint64_t *values, size_t count);
const struct event_value *event_get(const struct event *ev, enum event_field f); /* NULL: not set */

/*
 * The line's part from "time" to the last field, with the comma behind it:
 * what is in front ("seq") and behind ("prev") is the trail's. @sandbox, @name:
 * whose event it is.
 */
void event_encode(const struct event *ev, const char *sandbox, const char *name, struct buf *b);

/* @s with the escapes of above, without quotes; for the JSON they are escaped once more. */
void event_escape(struct buf *b, const void *data, size_t len, bool json);
/* Would nothing of it be escaped, but for backslashes? */
bool event_is_printable(const void *data, size_t len);
/* The bytes of an escaped string, in place. Returns their number. */
size_t event_unescape(char *s);

#endif
