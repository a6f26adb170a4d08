/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between flow.c (accept, decide, end), flow_dial.c (connect), flow_gate.c
 * (the client's first bytes), flow_proxy.c (what it says to the proxy),
 * publish.c (those that come in) and flow_relay.c (bytes).
 *
 * flow_end() frees the flow: whoever may have called it returns at once.
 */
#ifndef PURPLE_NET_FLOW_INTERNAL_H
#define PURPLE_NET_FLOW_INTERNAL_H

#include "net/flow.h"
#include "net/hello.h"
#include "net/http.h"
#include "net/pipes.h"
#include "net/proxy.h"

enum flow_phase {
	FLOW_FREE,
	FLOW_PROXY,
	FLOW_RESOLVE,
	FLOW_CONNECT,
	FLOW_ENTER, /* of one that comes in: connects inside */
	FLOW_RELAY,
	FLOW_LINGER
};

/* What the client is still to be told, or is to tell. */
enum flow_proxy {
	FLOW_NO_PROXY,	    /* or no more: the rest is as with any flow */
	FLOW_PROXY_FIRST,   /* nothing is known yet */
	FLOW_PROXY_GREETED, /* SOCKS5: the request is to come */
	FLOW_PROXY_SOCKS,   /* it waits for an answer */
	FLOW_PROXY_CONNECT, /* the same of HTTP */
	FLOW_PROXY_FORWARD, /* an http URL: the head, still unread, is to go on to the server */
};

struct flow_attempt {
	struct flow *flow;
	struct loop_watch watch; /* .fd: owned; -1: none */
};

/* One way. */
struct flow_way {
	int pipe[2];
	size_t in_pipe;
	bool eof;	  /* the source's stream has ended */
	bool one_request; /* no more than @left bytes, and the answer is the end */
	uint64_t left;
	bool shut;	       /* and that was passed on */
	struct bucket *bucket; /* NULL: no limit */
	struct bucket_wait wait;
};

struct flow {
	struct flows *flows;
	struct flow *next_free;
	enum flow_phase phase;
	enum flow_proxy proxy;
	bool head_only;	  /* FORWARD: HEAD */
	size_t head_sent; /* FORWARD: bytes of the head */
	int error;	  /* of the last attempt to connect; -errno */
	bool gated;	  /* the client's first bytes have not been judged */
	bool client_done; /* it has ended its stream */
	bool broken;	  /* the server's side has an error */
	struct host host; /* where to: the name, or the literal address */
	uint16_t port;
	struct resolver_wait wait;
	struct loop_watch inner, outer; /* the sandbox's side, the host's; .fd: owned; -1: none */
	/* One that comes in: the client is at @outer, inner.fd is the pool's. Else NULL. */
	struct publish_socket *inside, *spare;
	struct loop_timer timer; /* of the phase */
	struct loop_timer gate_timer;
	struct loop_task again;
	uint64_t deadline; /* CONNECT: to give up */
	uint64_t last;	   /* RELAY: when a byte moved */
	unsigned count, next;
	struct resolver_addr addrs[FLOW_ADDRS];
	struct flow_attempt attempts[FLOW_ATTEMPTS];
	struct flow_way up, down;
	struct hello_reader hello;
	struct http_reader http;
};

struct flow_listener {
	struct flows *flows;
	struct loop_watch watch;
	struct loop_timer timer; /* to accept again, after descriptors ran out */
	struct loop_task again;
	bool v6;
};

struct flows {
	struct loop *loop;
	const struct net_rules *rules;
	const struct names *names;
	struct resolver *resolver;
	struct report *report;
	uint64_t idle_ms;
	unsigned listeners_count, max, touched;
	struct flow_listener listeners[FLOW_LISTENERS];
	struct pipes pipes;
	struct bucket *up, *down;
	struct publish *publish;     /* NULL: nothing is */
	struct flow *free;	     /* a list of those that were in use */
	struct flow *all;	     /* @max; the first @touched have been in use */
	uint8_t peek[HELLO_RAW_MAX]; /* the larger of both readers' limits */
	char head[PROXY_HEAD_MAX];
};

/* @reset: by RST on both sides, for whatever is not a proper end. */
void flow_end(struct flow *f, bool reset);
/* Say why, and reset; what came by the proxy is answered. */
void flow_refuse(struct flow *f, enum net_verdict verdict);
/* The client has had its last answer: let it end. */
void flow_linger(struct flow *f);

/* A new one in FLOW_RESOLVE, without a socket; NULL: there are @max. */
struct flow *flow_make(struct flows *fs);
bool flows_have_room(const struct flows *fs);

/* publish.c: an event of f->inner; the end of f->inside; a flow is free again. */
void publish_event(struct flow *f, uint32_t events);
void publish_end(struct flow *f, bool reset);
void publish_room(struct publish *p);

/* The rules' word on @target; then its addresses. */
void flow_decide(struct flow *f, const struct host *target);

/* Connect to f->addrs. */
void flow_dial(struct flow *f);
void flow_dial_timer(struct flow *f);
void flow_dial_stop(struct flow *f);

/* Look at what the client has sent. False: the flow is gone. */
bool flow_gate(struct flow *f);

/* FLOW_PROXY: look at what the client has sent. */
void flow_proxy_read(struct flow *f);
void flow_proxy_timeout(struct flow *f);
/* Answer a flow that is refused. */
void flow_proxy_refuse(struct flow *f, enum net_verdict verdict);
/* f->outer is connected, or FORWARD has room. False: the flow is gone. */
bool flow_proxy_connected(struct flow *f);

/* f->outer is connected. */
void flow_relay_start(struct flow *f);
void flow_relay(struct flow *f);
void flow_relay_timer(struct flow *f);
/* The bucket of a way has something for it. */
void flow_relay_up(struct bucket_wait *w);
void flow_relay_down(struct bucket_wait *w);

#endif
