/* SPDX-License-Identifier: Apache-2.0 */

#include "event/otlp_export.h"
#include "base/percent.h"
#include "base/str.h"
#include "config.h"
#include "event/otlp.h"
#include "event/otlp_http.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RESOURCE_MAX = 32 << 10, VARIABLE_MAX = 4096, IDLE_MS = 60000 };

/* Spans with commas between them. */
struct batch {
	struct buf spans;
	uint64_t count;
	uint64_t since; /* ms: when the first came */
};

struct exporter {
	int control;
	uint64_t *counts; /* mapped; NULL: none */
	struct otlp_http *http;
	struct buf resource; /* attributes */
	struct batch queue, sent;
	struct buf body; /* of @sent */
	struct otlp_answer answer;
	bool posting, ended;
	unsigned tries;
	uint64_t retry_at, end_at; /* ms */
	struct otlp_told told, reported;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void drop(struct exporter *x, uint64_t count, const char *why)
{
	x->told.dropped += count;
	if (count)
		str_copy(x->told.why, sizeof(x->told.why), why);
}

/* All sandboxes of a user add up in one file: an addition is one instruction. */
static void count(const struct exporter *x)
{
	if (!x->counts)
		return;
	__atomic_fetch_add(&x->counts[0], x->told.exported - x->reported.exported,
			   __ATOMIC_RELAXED);
	__atomic_fetch_add(&x->counts[1], x->told.dropped - x->reported.dropped, __ATOMIC_RELAXED);
}

static void tell(struct exporter *x, bool done)
{
	x->told.done = done;
	if (!done && x->told.exported == x->reported.exported &&
	    x->told.dropped == x->reported.dropped)
		return;
	count(x);
	x->reported = x->told;
	send(x->control, &x->told, sizeof(x->told), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void map_counts(struct exporter *x, int fd, uint32_t at)
{
	const size_t size = (size_t)at + 2 * sizeof(uint64_t);
	struct stat st;
	char *map;

	if (fd < 0 || at % sizeof(uint64_t) || fstat(fd, &st) < 0 || st.st_size < (off_t)size)
		return;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		x->counts = (uint64_t *)(void *)(map + at);
}

static void batch_add(struct batch *b, const char *span, size_t len)
{
	if (b->count++ == 0)
		b->since = now_ms();
	buf_puts(&b->spans, b->count > 1 ? "," : "");
	buf_add(&b->spans, span, len);
}

static void batch_clear(struct batch *b)
{
	buf_free(&b->spans);
	*b = (struct batch){ .spans = BUF_INIT(OTLP_QUEUE_MAX) };
}

static void take_span(struct exporter *x, const char *span, size_t len)
{
	if (x->queue.spans.len + len + 1 > OTLP_QUEUE_MAX)
		drop(x, 1, "the collector is too slow");
	else
		batch_add(&x->queue, span, len);
}

/* One message; the length of what follows its head. -EAGAIN: none yet; 0 with type 0: the end. */
static ssize_t receive(int fd, struct otlp_head *head, char *data)
{
	struct iovec parts[] = { { head, sizeof(*head) }, { data, SPAN_MAX } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n < (ssize_t)sizeof(*head)) {
		head->type = 0;
		return 0;
	}
	return n - (ssize_t)sizeof(*head);
}

static void end(struct exporter *x)
{
	x->ended = true;
	x->end_at = now_ms() + OTLP_LINGER_MS;
	/* Whatever happens: nobody waits for us. */
	alarm(OTLP_LINGER_MS / 1000 + 2);
}

static void read_control(struct exporter *x)
{
	static char data[SPAN_MAX];
	struct otlp_head head = { 0 };

	while (!x->ended) {
		ssize_t n = receive(x->control, &head, data);

		if (n == -EAGAIN)
			return;
		if (head.type == OTLP_SPAN && n > 0)
			take_span(x, data, (size_t)n);
		else if (head.type == 0)
			end(x);
	}
}

static void compose(struct exporter *x)
{
	struct buf *b = &x->body;

	buf_free(b);
	*b = BUF_INIT(OTLP_QUEUE_MAX + RESOURCE_MAX + 1024);
	buf_puts(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	buf_add(b, x->resource.data, x->resource.len);
	buf_puts(b,
		 "]},\"scopeSpans\":[{\"scope\":{\"name\":\"purple\",\"version\":\"" PURPLE_VERSION
		 "\"},\"spans\":[");
	buf_add(b, x->sent.spans.data, x->sent.spans.len);
	buf_puts(b, "]}]}]}");
}

static void post(struct exporter *x)
{
	x->posting = true;
	x->tries++;
	otlp_http_post(x->http, x->body.data, x->body.len, &x->answer);
}

static void begin_batch(struct exporter *x)
{
	x->sent = x->queue;
	x->queue = (struct batch){ .spans = BUF_INIT(OTLP_QUEUE_MAX) };
	x->tries = 0;
	compose(x);
	if (x->body.failed || x->sent.spans.failed) {
		drop(x, x->sent.count, "no memory");
		batch_clear(&x->sent);
		return;
	}
	post(x);
}

static void answered(struct exporter *x)
{
	const struct otlp_answer *a = &x->answer;
	uint64_t now = now_ms(), wait = (uint64_t)OTLP_FIRST_RETRY_MS << (x->tries - 1);
	uint64_t last = x->sent.since + OTLP_BATCH_MS;

	x->posting = false;
	if (a->result == OTLP_TAKEN) {
		uint64_t rejected = MIN(a->rejected, x->sent.count);

		x->told.exported += x->sent.count - rejected;
		drop(x, rejected, a->why);
	} else if (a->result == OTLP_RETRY && x->tries < OTLP_TRIES) {
		if (a->retry_after_s)
			wait = (uint64_t)a->retry_after_s * 1000;
		x->retry_at = now + wait;
		if (x->retry_at < (x->ended ? MIN(last, x->end_at) : last))
			return;
		drop(x, x->sent.count, a->why); /* it would be too late */
	} else {
		drop(x, x->sent.count, a->why);
	}
	x->retry_at = 0;
	batch_clear(&x->sent);
}

static bool queue_is_due(const struct exporter *x, uint64_t now)
{
	return x->queue.count > 0 &&
	       (x->ended || x->queue.count >= OTLP_BATCH_SPANS ||
		x->queue.spans.len >= OTLP_BATCH_BYTES || now >= x->queue.since + OTLP_DELAY_MS);
}

/* ms until something is due. */
static int next_due(const struct exporter *x, uint64_t now)
{
	uint64_t at = now + IDLE_MS;

	if (x->ended)
		at = MIN(at, x->end_at);
	if (x->retry_at)
		at = MIN(at, x->retry_at);
	if (x->queue.count > 0 && x->sent.count == 0)
		at = MIN(at, x->queue.since + OTLP_DELAY_MS);
	return at > now ? (int)(at - now) : 0;
}

static void serve(struct exporter *x)
{
	for (;;) {
		uint64_t now = now_ms();

		if (x->posting && x->answer.result != OTLP_RUNNING)
			answered(x);
		if (x->retry_at && now >= x->retry_at) {
			x->retry_at = 0;
			post(x);
		}
		if (x->sent.count == 0 && queue_is_due(x, now))
			begin_batch(x);
		tell(x, false);
		if (x->ended && ((x->sent.count == 0 && x->queue.count == 0) || now >= x->end_at))
			break;
		if (otlp_http_wait(x->http, x->ended ? -1 : x->control, next_due(x, now),
				   &x->answer))
			read_control(x);
	}
	otlp_http_abandon(x->http);
	drop(x, x->sent.count + x->queue.count,
	     x->answer.why[0] ? x->answer.why : "the collector does not answer");
}

/* A pair of OTEL_RESOURCE_ATTRIBUTES: "name=value", percent-encoded. */
static void add_pair(struct span_writer *w, char *pair, bool named)
{
	char *value = strchr(pair, '=');

	pair += strspn(pair, " \t");
	if (!value || value <= pair)
		return;
	*value++ = '\0';
	/* Purple's own are not to be replaced, nor the name twice. */
	if (strspn(pair, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") !=
		    strlen(pair) ||
	    str_after(pair, "purple.") || streq(pair, "service.version") ||
	    (named && streq(pair, "service.name")))
		return;
	if (percent_decode(value))
		span_text(w, pair, value);
}

/* Of whom the spans are: opentelemetry.io/docs/specs/otel/resource/sdk. */
static void compose_resource(struct exporter *x, bool caller, const char *ours)
{
	const char *name = caller ? getenv("OTEL_SERVICE_NAME") : NULL;
	const char *more = caller ? getenv("OTEL_RESOURCE_ATTRIBUTES") : NULL;
	struct span_writer w = { .b = &x->resource };
	char text[VARIABLE_MAX], *next = text, *pair;
	bool named;

	x->resource = BUF_INIT(RESOURCE_MAX);
	if (!more || !str_copy(text, sizeof(text), more))
		text[0] = '\0';
	named = (name && *name) ||
		(!str_after(text, "service.name=") && !strstr(text, ",service.name="));
	if (named)
		span_text(&w, "service.name", name && *name ? name : "purple");
	span_text(&w, "service.version", PURPLE_VERSION);
	while ((pair = strsep(&next, ",")))
		add_pair(&w, pair, named);
	if (*ours) {
		buf_puts(&x->resource, ",");
		buf_puts(&x->resource, ours);
	}
}

static int find_endpoint(const char *given, bool caller, struct endpoint *to, struct err *e)
{
	const char *own = caller && !*given ? getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") : NULL;
	bool exact = own && *own;
	const char *why;

	if (!exact && caller && !*given)
		own = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
	if (*given)
		own = given;
	else if (!own || !*own)
		own = "http://127.0.0.1:4318";
	if (endpoint_parse(own, exact, to, &why) == 0)
		return 0;
	err_set(e, EPROTO, "tracing", "the endpoint %.80s: %s", own, why);
	return -EPROTO;
}

/* What the first message says, and all that needs files, before they are given up. */
static int configure(struct exporter *x, int counts, struct err *e)
{
	static char data[SPAN_MAX + 1];
	struct otlp_head head = { 0 };
	struct endpoint to;
	struct confine confinement;
	const char *attributes, *step;
	ssize_t n = receive(x->control, &head, data);
	bool caller = n > 0 && head.flags & OTLP_CALLER;
	int r;

	if (n <= 0 || head.type != OTLP_CONFIG || data[n - 1] != '\0')
		return err_set(e, EBADMSG, "tracing", "there is no configuration");
	map_counts(x, counts, head.counts_at);
	attributes = strchr(data, '\0') + 1;
	if (attributes >= data + n)
		attributes = "";
	compose_resource(x, caller, attributes);
	r = find_endpoint(data, caller, &to, e);
	if (r < 0)
		return r;
	x->http = otlp_http_open(&to, caller, e);
	if (!x->http)
		return -EPROTO;
	confinement = otlp_confinement(to.port);
	r = confine_all(&confinement, &step);
	return r < 0 ? err_set(e, r, "tracing", "%s", step) : 0;
}

int otlp_export(int control, int counts)
{
	static struct exporter x;
	struct err e = { 0 };

	x.control = control;
	batch_clear(&x.queue);
	batch_clear(&x.sent);
	if (configure(&x, counts, &e) < 0) {
		/* What has come so far is lost; what comes later finds nobody, and is counted
		 * there. */
		read_control(&x);
		drop(&x, x.queue.count, e.message);
	} else {
		serve(&x);
	}
	tell(&x, true);
	if (x.http)
		otlp_http_close(x.http);
	buf_free(&x.queue.spans);
	buf_free(&x.sent.spans);
	buf_free(&x.body);
	buf_free(&x.resource);
	return err_is_set(&e) ? -e.code : 0;
}
