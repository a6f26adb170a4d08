/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of this sandbox, if the plan traces (PT_ON), else nothing here does anything:
 *
 *	purple run | purple create      from the launcher's begin to the end
 *	├─ plan                         found in the cache, or compiled
 *	├─ prepare                      the control group, the state directory
 *	│  └─ network                   purple-net is started; unless isolated
 *	├─ jail                         namespaces to lock-down, of which each is one more
 *	├─ command                      from its release: Landlock, the filter, execve are in it
 *	└─ purple exec                  one each
 *
 * Who started us is the parent, by TRACEPARENT; if it does not sample, nothing is sent, and only
 * the context is passed on. The command gets a TRACEPARENT that names its own span, unless
 * the policy's environment has one. What is refused becomes events of the root span,
 * TRACE_EVENTS_MAX at most, in TRACE_EVENTS_BYTES.
 *
 * Spans go to purple-otlp (event/otlp.h), which is started when the command has run for
 * TRACE_FLUSH_MS, or at the end: never before the command. Nothing is waited for but at the end, if
 * the policy says so. A purple-otlp that died is started again, once in TRACE_AGAIN_MS.
 */
#ifndef PURPLE_SUPERVISOR_TRACE_H
#define PURPLE_SUPERVISOR_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "event/event.h"
#include "event/otlp.h"
#include "event/trace_context.h"
#include "jail/times.h"

enum { TRACE_EVENTS_MAX = 64, TRACE_EVENTS_BYTES = 48 << 10 };
enum { TRACE_FLUSH_MS = 1000, TRACE_AGAIN_MS = 60000, TRACE_VARIABLE = TRACEPARENT_LEN + 16 };

/* One `purple exec`; owned by its struct command. */
struct trace_exec {
	struct trace_context context;
	uint8_t parent[SPAN_ID_SIZE];
	bool remote;	/* the parent is the caller's */
	uint64_t began; /* µs, CLOCK_MONOTONIC */
	size_t len;
	char args[]; /* @len bytes of strings */
};

struct trace {
	bool recording;
	struct trace_context root;
	uint8_t parent[SPAN_ID_SIZE];
	bool has_parent;
	const char *state;			/* TRACESTATE, of our environment */
	uint8_t command[SPAN_ID_SIZE];		/* its span */
	uint64_t epoch_us;			/* CLOCK_REALTIME when CLOCK_MONOTONIC was 0 */
	uint64_t network, command_ended, ended; /* µs, CLOCK_MONOTONIC; 0: not */
	long command_pid;			/* 0: unknown */
	struct jail_times times;
	struct buf events; /* encoded */
	unsigned events_count;
	uint64_t events_dropped;
	bool setup_sent;
	uint64_t again_at;	    /* ms: not before, purple-otlp is started again */
	int fd, pid;		    /* of purple-otlp; -1, 0: none */
	uint64_t sent;		    /* spans handed to the present one */
	struct otlp_told told;	    /* by it */
	uint64_t exported, dropped; /* by those before it, and what did not reach one */
	char why[164];
	char variable[TRACE_VARIABLE], exec_variable[TRACE_VARIABLE]; /* TRACEPARENT=… */
};

struct supervisor;
struct command;

void trace_begin(struct supervisor *s);	  /* before anything else; may change launch->envp */
void trace_network(struct supervisor *s); /* purple-net is about to be started */
void trace_command_ended(struct supervisor *s);
void trace_ended(struct supervisor *s); /* nothing runs inside any more */
/* What was refused becomes an event of the root span; other types do not. */
void trace_event(struct supervisor *s, const struct event *ev);
/* Send what is complete, while the sandbox runs. Returns when to come again, ms; 0: never. */
uint64_t trace_flush(struct supervisor *s, uint64_t now);
/* The rest, and the end of it. @e: why it did not start. Waits as the plan says. */
void trace_end(struct supervisor *s, const struct err *e);

/*
 * The variable @v, of the sandbox or of the client's @extra, as the command of `purple exec` shall
 * have it.
 */
const char *trace_variable(const struct supervisor *s, const char *v);
/*
 * `purple exec` with these arguments is about to be started; @parent: the TRACEPARENT that the
 * client gave it, or NULL. NULL: it is not traced.
 */
struct trace_exec *trace_exec_begin(struct supervisor *s, const char *args, size_t len,
				    const char *parent);
/* It has ended, with a wait status, or it failed to start (@why). Frees. */
void trace_exec_end(struct supervisor *s, struct command *c, int status, const char *why);

/* trace_export.c: hand @span to purple-otlp, or count it as lost. */
void trace_send(struct supervisor *s, const struct buf *span);
/* No more will come: wait for its last word, as the plan says. */
void trace_close(struct supervisor *s);

#endif
