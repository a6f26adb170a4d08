/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between flow.c (accept, decide, end), flow_dial.c (connect), flow_gate.c
 * (the client's first bytes), flow_follow.c (later requests), flow_proxy.c
 * (what it says to the proxy), publish.c (those that come in) and flow_relay.c
 * (bytes).
 *
 * flow_end() frees the flow: whoever may have called it returns at once.
 */
#ifndef PURPLE_NET_FLOW_INTERNAL_H
#define PURPLE_NET_FLOW_INTERNAL_H

#include "net/flow.h"
#include "net/hello.h"
#include "net/http.h"
#include "net/http_chunk.h"
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
	uint64_t since;
	unsigned addr; /* which of the flow's */
};

/* One way. */
struct flow_way {
	int pipe[2];
	size_t in_pipe;
	uint64_t pass;	       /* bytes that may yet go into the pipe */
	uint64_t bytes;	       /* so far */
	bool begun;	       /* one has */
	bool eof;	       /* the source's stream has ended */
	bool shut;	       /* and that was passed on */
	struct bucket *bucket; /* NULL: no limit */
	struct bucket_wait wait;
};

#define FLOW_PASS_ALL UINT64_MAX /* more than ever go */

/* Where f->up.pass ends; nothing of this with other protocols than HTTP/1. */
enum flow_follow_phase { FOLLOW_HEAD, FOLLOW_CHUNKS };

/* To the first request, if that asks for another protocol. */
enum flow_answer { ANSWER_NONE, ANSWER_AWAITED, ANSWER_SWITCHED };

struct flow_follow {
	enum flow_follow_phase phase;
	enum flow_answer answer;
	bool connect;	  /* the first request was CONNECT */
	bool one_request; /* and its answer is the end */
	bool server_done; /* it has ended its stream */
	bool refused;	  /* flow_follow() said -EPROTO; why is in flows->refused */
	struct http_chunks chunks;
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
	bool counted;	  /* as begun, in the tally */
	bool client_done; /* it has ended its stream */
	bool broken;	  /* the server's side has an error */
	bool told_no;	  /* an attempt was refused by whoever is there */
	bool cut;	  /* comes in: the server has reset it, and the error was read */
	struct host host; /* where to: the name, or the literal address */
	uint16_t port;
	struct resolver_wait wait;
	struct loop_watch inner, outer; /* the sandbox's side, the host's; .fd: owned; -1: none */
	/* One that comes in: the client is at @outer, inner.fd is the pool's. Else NULL. */
	struct publish_socket *inside, *spare;
	struct loop_timer timer; /* of the phase */
	struct loop_timer gate_timer;
	struct loop_task again;
	uint64_t began;
	uint64_t deadline; /* CONNECT: to give up */
	uint64_t last;	   /* RELAY: when a byte moved */
	unsigned count, next;
	unsigned peer; /* RELAY: which of addrs */
	struct resolver_addr addrs[FLOW_ADDRS];
	struct flow_attempt attempts[FLOW_ATTEMPTS];
	struct flow_way up, down;
	struct hello_reader hello;
	struct http_reader http;
	struct flow_follow follow;
};

struct flow_listener {
	struct flows *flows;
	struct acceptor acceptor;
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
	int spare;		     /* a descriptor to accept with when there is no other; -1 */
	struct flow *free;	     /* a list of those that were in use */
	struct flow *all;	     /* @max; the first @touched have been in use */
	uint8_t peek[HELLO_RAW_MAX]; /* the larger of both readers' limits */
	char head[PROXY_HEAD_MAX];
	struct http_head refused; /* from flow_follow() to flow_follow_refuse() */
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
/* Say it in HTTP too: @head is the request, or an error of it. */
void flow_refuse_http(struct flow *f, const struct http_head *head);

/* Is the request for this flow's name and port? */
bool flow_is_for(const struct flow *f, const struct http_head *head);
/* Tell of the request @head, read from @data, which may go. */
void flow_report_request(const struct flow *f, const struct http_head *head, const char *data);
/* The first request has @head, and was found good. */
void flow_follow_start(struct flow *f, const struct http_head *head);
/* The proxy sent on @head itself: no more than that one request may come. */
void flow_follow_one(struct flow *f, const struct http_head *head);
/* What may go up is used up. 0: more may, or it ends; -EPROTO: flow_follow_refuse(); -errno. */
int flow_follow(struct flow *f);
void flow_follow_refuse(struct flow *f);
/* The same for what comes down, while an answer is awaited. */
int flow_answer(struct flow *f);

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
