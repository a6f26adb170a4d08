/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of supervisor/. One supervisor a process, one thread, one
 * poll(2); every descriptor is -1 where there is none.
 *
 *	run.c       start, loop, timers, signals, how it ended
 *	helper.c    starts a program that lives beside the sandbox
 *	ebpf.c      purple-trace: what the kernel sees
 *	group.c     the control group: limits, usage, freeze
 *	scope.c     where it is, if systemd has to be asked
 *	network.c   purple-net, unless isolated
 *	network_told.c  what it says: refusals, its end
 *	network_live.c  what is asked of it: `purple net`
 *	publish.c   listens for it on the host's side
 *	register.c  the state directory
 *	server.c    clients of the control socket
 *	peer.c      who may be one
 *	intent.c    what one announces
 *	watch.c     what is seen of calls by seccomp_unotify(2); watch_internal.h
 *	events.c    what has happened: counts, and the audit trail
 *	refused.c   what of it was refused, and what would allow it
 *	workspace.c  changes that it may not make at once
 *	snapshot.c  and a copy of them
 *	stay.c      commands that purple-init starts for us
 *	output.c    what a detached command writes: log, attached client
 *	tally.c     what of it goes into the totals of all
 *	trace.c     spans of it, if the plan traces
 *	trace_export.c  purple-otlp, which sends them
 *
 * Locks. A start takes them in this order: as root a range of ids (cli/caller.h);
 * the state directory's (state.h), which an anonymous run takes last, and does
 * without if it must; the control group's (cgroup/cgroup.h). They are held to the
 * end, by the open file. None is waited for while another sandbox has it, so no
 * order can deadlock: a range that is taken is passed over, and so is what a sweep
 * finds locked; a name in use is an error. Only the lock of a directory that was
 * made this moment is waited for, while somebody asks whether it is live.
 */
#ifndef PURPLE_SUPERVISOR_INTERNAL_H
#define PURPLE_SUPERVISOR_INTERNAL_H

#include <poll.h>
#include <sys/socket.h>

#include "cgroup/cgroup.h"
#include "jail/init_protocol.h"
#include "jail/jail.h"
#include "net/protocol.h"
#include "net/rules.h"
#include "supervisor/control.h"
#include "supervisor/denials.h"
#include "supervisor/events.h"
#include "supervisor/lifecycle.h"
#include "supervisor/pty.h"
#include "supervisor/rule_lists.h"
#include "supervisor/run.h"
#include "supervisor/state.h"
#include "supervisor/totals.h"
#include "supervisor/trace.h"
#include "workspace/store.h"

/* A command that purple-init starts, or has started. */
struct command {
	bool used, started;
	uint64_t overdue_at; /* not started by then: something inside holds it up */
	int pending;	     /* a signal that came before it was there; 0 */
	uint32_t token;
	int pidfd;
	int client;		  /* number of the client that waits for it; -1: none */
	int master, slave;	  /* of its terminal, until they are handed over */
	char name[64];		  /* argv[0], for messages */
	struct trace_exec *trace; /* owned; NULL: it is not traced */
};

struct client {
	int fd;
	struct ucred peer; /* who it was when it connected */
	int command;	   /* EXEC: its number in commands[]; -1 */
	bool waits;	   /* to be told of the end */
	bool attached;
	uint64_t heard;	     /* when it last spoke, or came: a count */
	uint32_t net_serial; /* what purple-net is to answer for it; 0: nothing */
	int net_shown;	     /* where it is to show what there is; 0: nowhere */
};

enum { OUTPUTS = 2, NO_COMMAND = -1, MAIN_COMMAND = 0 };

/* What a detached command writes to: two pipes, or in the first place its terminal. */
struct output {
	struct control_message pending;	 /* for the client; head.size 0: nothing */
	char input[CONTROL_PAYLOAD_MAX]; /* from it, for the terminal */
	size_t input_len;
	int fds[OUTPUTS]; /* our ends; non-blocking */
	bool terminal;
	int slave; /* held, so that the master never hangs up */
	int log;
	uint64_t log_size;
	int client;	      /* attached; -1 */
	uint64_t stuck_since; /* that it takes nothing, ms */
};

/* For the totals. Times: µs of CLOCK_MONOTONIC; 0: unknown. */
struct tally {
	uint64_t began, planned, prepared;
	uint64_t released;	  /* of one that stays; else PID 1 says it, jail.released_us */
	struct totals *totals;	  /* mapped, to the end of the process; NULL: none */
	bool tried, told;	  /* to map them; that it started */
	uint64_t lost;		  /* lines of the trail, as far as they are told */
	struct net_tally network; /* likewise */
};

/* The file inside that tells of refusals. */
struct told {
	bool due; /* there may be something to tell */
	bool full;
	uint64_t size; /* bytes so far */
};

/* A client copies what was changed, while nothing inside runs. */
struct snapshot {
	int client; /* -1: none */
	uint32_t number;
	bool thaw; /* it ran before */
	bool torn; /* something inside has run meanwhile */
	char label[STORE_LABEL_MAX + 1];
};

struct supervisor {
	const struct plan *plan;
	struct launch *launch;
	const struct run_request *request;
	struct outcome *out;
	struct jail jail; /* shared with PID 1: outlives every frame */
	struct pty pty;

	enum sandbox_phase phase;
	int stop_signal;
	unsigned tells; /* stop signals sent so far */
	uint32_t grace_ms;
	const char *why;    /* why we ended it, as in the report; NULL: we did not */
	int status_for_why; /* 124, or -1: the command's own */
	bool suspended;	    /* by SIGTSTP */
	/* CLOCK_MONOTONIC, ms; 0: not set */
	uint64_t register_at, session_at, cpu_at, grace_at, empty_at, start_at, trace_at;
	uint64_t settle_at, workspace_at;

	int signals;
	int all, dir, listener; /* the state directories, ours, the control socket */
	struct state_file state_file;
	int init;	 /* our end of purple-init's socket */
	int init_theirs; /* until it is ready */
	int theirs[3];	 /* 0-2 of a detached command, until it has them */
	bool served;	 /* server_init() was called */
	bool ready, main_ended;
	bool told_state; /* the state file could not be written: said once */
	int main_status;
	uint32_t next_token;
	int net;	/* our end of purple-net's socket */
	int net_tally;	/* what it counts, net/tally.h */
	int net_pid;	/* 0: none */
	bool net_ready; /* it has confined itself */
	bool net_ends;	/* by our wish */
	int ebpf;	/* our end of purple-trace's socket */
	int ebpf_pid;	/* 0: none */
	bool has_leaf;
	struct cg_leaf leaf;
	struct tally tally;
	struct events events;
	uint64_t told_events[EVENT_TYPES]; /* of events.counts, to the totals */
	struct net_tally net_counted;	   /* what its tally said last */
	bool watched;			   /* watch.c has the listener */
	bool traced;			   /* there are spans */

	/*
	 * From here on a short anonymous run touches nothing: a page is a fault. What
	 * every longer one uses lies on as few pages as can be: the head of this, and
	 * the end of output with the head of events.
	 */
	struct sandbox_state state;
	struct client clients[CONTROL_CLIENTS_MAX];
	struct snapshot snapshot;
	unsigned polled;      /* of them, server_prepare() to server_handle() */
	uint64_t heard;	      /* requests and connections so far */
	uint64_t cpu_told[3]; /* tally_keep(): all, user, system */
	char command_line[SANDBOX_TEXT];
	struct command commands[INIT_COMMANDS_MAX];
	struct output output;
	struct trail trail; /* of events */
	struct denials denials;
	struct told told;
	struct rule_lists *rules; /* owned; NULL: still the plan's */
	uint32_t net_serial;	  /* of the last request to purple-net */
	char net_error[sizeof(((struct net_message *)0)->text)]; /* of NET_FAILED */
	struct trace trace;
};

uint64_t supervisor_now(void); /* ms of CLOCK_MONOTONIC */
/* Let @event happen. -EBUSY: not in this state. */
int supervisor_event(struct supervisor *s, enum life_event event);
/* Begin to end it: @sig to the command, then the grace. @why: see struct supervisor. */
void supervisor_stop(struct supervisor *s, int sig, uint32_t grace_ms, const char *why, int status);

/* The command runs: its time begins. */
void supervisor_watch_time(struct supervisor *s);
/* Tell who waits for a detached one that it runs. */
void supervisor_ready(struct supervisor *s);

/* group.c */
int group_make(struct supervisor *s, struct err *e);
void group_usage(struct supervisor *s, struct cg_usage *u);
void group_signal(struct supervisor *s, int sig); /* to all but PID 1 */
bool group_is_empty(struct supervisor *s);	  /* but for PID 1 */
int group_freeze(struct supervisor *s, bool frozen);
void group_end(struct supervisor *s, bool count);

/*
 * scope.c: of a CG_SCOPE site, which systemd has to make: ask it (at most about
 * 5 s), and go there. NULL with @e. We stay there, so it is asked once a process.
 */
const struct cg_site *scope_site(const struct supervisor *s, struct err *e);
/* Where the program @name of ours is: beside purple-init. False: no room. */
bool supervisor_program(const struct supervisor *s, const char *name, char *ret, size_t size);

/* sign.c */
/* Sign the trail, if there is a key to do so with, and wait for that. */
void supervisor_sign(const struct supervisor *s);

/*
 * helper.c: start @program, called @name, with the socket @theirs as its descriptor
 * HELPER_CONTROL_FD and @also as HELPER_OTHER_FD (-1: none), which is not to be one of
 * these two before. In a session of its own: what is typed at the terminal is not for
 * it. Nothing of the caller's is open in it, not even its standard error. 0 with its pid
 * in *@ret, or -errno.
 */
enum { HELPER_CONTROL_FD = 3, HELPER_OTHER_FD };
int helper_spawn(const char *program, const char *name, int theirs, int also, int *ret);

/*
 * ebpf.c: purple-trace, where the plan has PA_EBPF; else these do nothing. It is
 * there, and sees, before jail_start(). What it says is checked as hostile is: its
 * strings are. When it dies the trail says so, and audit.on_failure decides.
 */
int ebpf_start(struct supervisor *s, struct err *e);
void ebpf_prepare(const struct supervisor *s, struct pollfd *fd);
void ebpf_handle(struct supervisor *s, const struct pollfd *fd);
/* The sandbox has ended: what is still on its way, at most 10 s. */
void ebpf_end(struct supervisor *s);

/*
 * network.c: of an isolated sandbox these do nothing. purple-net is started beside
 * the jail, gets the sandbox's sockets when they are there, and ends with it. What
 * it says is hostile; when it is gone nothing inside is connected any more.
 */
int network_start(struct supervisor *s, struct err *e); /* before jail_start() */
enum { NETWORK_POLLFDS = 2 };
void network_prepare(const struct supervisor *s, struct pollfd *fds);
void network_handle(struct supervisor *s, const struct pollfd *fds);
/*
 * Read what it has said by now. A process inside that waits for us has seen the
 * outcome of what it did before: then so have we, and the trail is in order.
 */
void network_catch_up(struct supervisor *s);
/* At most 3 s: it sends on what came from inside, and says what it has refused. */
void network_end(struct supervisor *s);

/*
 * watch.c: of a sandbox that is not observed these do nothing. While it is, nothing else
 * may wait for what the sandbox does: it may be waiting for our answer.
 */
enum { WATCH_POLLFDS = 4 };
void watch_prepare(const struct supervisor *s, struct pollfd *fds);
void watch_handle(struct supervisor *s, const struct pollfd *fds);
uint64_t watch_due(const struct supervisor *s); /* ms: when to tick; 0: never */
void watch_tick(struct supervisor *s, uint64_t now);
void watch_end(struct supervisor *s); /* the sandbox has ended: the rest of what was seen */

/*
 * publish.c: listen at the plan's published ports. Returns how many there are in
 * @fds, which are the caller's to close, with what purple-net is told of each in
 * @kinds; -errno with @e set, and none, where one cannot be had.
 */
int publish_open(const struct plan *p, int fds[PLAN_LISTENERS_MAX], struct net_socket *kinds,
		 struct err *e);
void publish_close(const int *fds, int count);

/* Those now in force: the plan's, or what `purple net` has made of them. */
struct net_rules network_rules(const struct supervisor *s);
/* A sealed memfd with what it is told at the start, and the rules now in force; or -errno. */
int network_block(const struct supervisor *s);
int network_send(const struct supervisor *s, const struct net_message *m, const int *fds,
		 unsigned count);

/*
 * network_live.c: NET_SHOW, NET_ALLOW, NET_DENY of the client @n. Only purple-net's
 * answer is an answer.
 */
void network_request(struct supervisor *s, int n, const struct control_message *m);
int network_ask(struct supervisor *s, enum net_message_type type, int n);
void network_answered(struct supervisor *s, const struct net_message *m);
void network_forget(struct supervisor *s, int n); /* the client is gone */
void network_abandon(struct supervisor *s);	  /* purple-net is */

/* network_told.c */
void network_denied(struct supervisor *s, const struct net_message *m);
void network_allowed(struct supervisor *s, const struct net_message *m);
/* purple-net is gone, or as good as that. Why is in s->out->network_why from here on. */
void network_bury(struct supervisor *s);

/*
 * refused.c: keep the refusal @ev, and set in it what would allow it; those texts are @a's,
 * or the plan's.
 */
void refused(struct supervisor *s, struct event *ev, struct advice *a);
/* Tell of them inside, as far as that is due; PID 1 has set up. */
void refused_flush(struct supervisor *s);
/*
 * Leave out the files that were looked for and that the host has not either: programs try
 * many. For who reads of it outside; inside nobody shall learn that. This looks at the host,
 * but crosses no mount, so it waits for no other machine.
 */
void refused_settle(struct supervisor *s);
/* The refusals into the log of a detached one. */
void refused_log(struct supervisor *s);

/*
 * workspace.c: of a workspace that is written directly these do nothing. After the sandbox
 * has ended and its record is written: what waits for review stays, with a word in the log
 * of a detached one, and the rest goes.
 */
void workspace_end(struct supervisor *s);
/*
 * Look how much there is: first with @now 0, then at workspace_at, which it sets anew; at
 * the limit it ends the sandbox. A file that was deleted while it is open is not seen.
 */
void workspace_look(struct supervisor *s, uint64_t now);

/* overlays.c: the same of filesystem.overlays; and how much there is, added to @u. */
void overlays_end(struct supervisor *s);
struct usage;
struct usage_limits;
void overlays_usage(const struct supervisor *s, const struct usage_limits *limits, struct usage *u);

/*
 * outputs.c: move what is in the boxes out of them, and say what it was. After the sandbox
 * has ended; without boxes nothing.
 */
void outputs_collect(struct supervisor *s);

/*
 * snapshot.c: SNAPSHOT and COPIED of the client @n. The layer on top is mounted, so a copy of it
 * becomes the snapshot; the client makes it, so that the loop goes on. -errno with @e set:
 * -EBUSY: it may be asked again. snapshot_begin() gives the answer.
 */
int snapshot_begin(struct supervisor *s, int n, const char *label, size_t len,
		   struct control_message *answer, struct err *e);
int snapshot_end(struct supervisor *s, int n, uint32_t number, struct err *e);
void snapshot_abandon(struct supervisor *s, int n); /* the client is gone */
bool snapshot_is_made(const struct supervisor *s);

/* register.c */
int register_claim(struct supervisor *s, struct err *e);
void register_late(struct supervisor *s); /* of an anonymous run; never fails loudly */
void register_update(struct supervisor *s);
void register_end(struct supervisor *s);

/* server.c: fds has room for SERVER_POLLFDS */
enum { SERVER_POLLFDS = 1 + CONTROL_CLIENTS_MAX };
void server_init(struct supervisor *s);
unsigned server_prepare(struct supervisor *s, struct pollfd *fds); /* how many to poll */
void server_handle(struct supervisor *s, const struct pollfd *fds);
void server_end(struct supervisor *s); /* tell all that wait, and close */
void client_close(struct supervisor *s, int n);
void client_error(struct supervisor *s, int n, const struct err *e);
/* The descriptors stay the caller's. */
void client_send(struct supervisor *s, int n, const struct control_message *m, const int *fds,
		 unsigned nfds);

/*
 * intent.c: what is to be done next, from client @n: a text and expectations, each with
 * its NUL, into the trail. -errno with @e set.
 */
int intent_take(struct supervisor *s, int n, const char *text, size_t len, struct err *e);

/*
 * peer.c: may the process that connected to @fd steer the sandbox? -EPERM with @e
 * set when it is another user's, or in another user or pid namespace than we are:
 * the socket may have come into a sandbox, where the same user runs what nobody
 * trusts. Nor can it be asked for by somebody whose /proc/PID/ns we may not read.
 */
int peer_check(int fd, struct ucred *peer, struct err *e);

/* stay.c */
int stay_prepare(struct supervisor *s, struct err *e); /* before jail_start() */
void stay_handle(struct supervisor *s);		       /* s->init is readable */
/* Start what the client @n asks for by @m; @fds: memfd, 0, 1, 2, which stay the caller's. */
int stay_exec(struct supervisor *s, int n, uint32_t terminal, const int fds[4], struct err *e);
int stay_signal(struct supervisor *s, int command, int sig);
void stay_abandon(struct supervisor *s, int command); /* its client is gone */
/* Give up on commands that do not start. Returns when to look again, or 0. */
uint64_t stay_overdue(struct supervisor *s, uint64_t now);
void stay_end(struct supervisor *s);

/* output.c */
void output_init(struct supervisor *s);
/* The log, and pipes if no terminal is wanted. The other ends in s->theirs. */
int output_open(struct supervisor *s, struct err *e);
enum { OUTPUT_POLLFDS = OUTPUTS };
void output_prepare(struct supervisor *s, struct pollfd *fds);
void output_handle(struct supervisor *s, const struct pollfd *fds);
void output_send(struct supervisor *s); /* the attached client can take more */
bool output_input(struct supervisor *s, const char *data, size_t len);
void output_end(struct supervisor *s); /* deliver the rest */
/* A line of our own in the log, behind what the command wrote; where there is none, nothing. */
void output_note(struct supervisor *s, const char *topic, const char *line);
void output_close(struct supervisor *s); /* the log */

/* tally.c: nothing here fails; where no totals can be kept, none are. */
uint64_t tally_now(void); /* µs of CLOCK_MONOTONIC */
void tally_stages(const struct supervisor *s, uint64_t us[START_STAGES]);
void tally(struct supervisor *s); /* what is new; not before jail_start() is done with our files */
/* A memfd for what purple-net counts; -errno: it goes uncounted. */
int tally_network(void);
/* What it has counted; never less than before, whatever it says. */
void tally_network_read(struct supervisor *s, struct net_tally *ret);
/*
 * Processor time in @u not below what was told before: where processes are counted, that
 * of some which have ended is lost (cgroup.h), and a counter must not go down.
 */
void tally_keep(struct supervisor *s, struct cg_usage *u);
void tally_end(struct supervisor *s); /* and that it ended, before register_end() */

#endif
