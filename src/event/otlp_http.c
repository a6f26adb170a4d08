/* SPDX-License-Identifier: Apache-2.0 */

#include "event/otlp_http.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/percent.h"
#include "base/str.h"
#include "config.h"
#include "event/otlp.h"
#include "event/otlp_resolve.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CERTIFICATES_MAX = 4 << 20, CONNECT_MS = 2000, HEADER_MAX = 8192 };

struct otlp_http {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers, *addresses;
	struct buf certificates, answer;
	char error[CURL_ERROR_SIZE];
	bool running;
};

static size_t take_answer(char *data, size_t size, size_t count, void *arg)
{
	struct otlp_http *h = arg;

	buf_add(&h->answer, data, size * count);
	return h->answer.failed ? 0 : size * count;
}

/* What the host trusts: read now, for later no file can be opened. */
static int read_certificates(struct otlp_http *h, bool caller, struct err *e)
{
	static const char *const usual[] = {
		"/etc/ssl/certs/ca-certificates.crt",		     /* Debian, Alpine, Arch */
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora */
		"/etc/ssl/cert.pem",
	};
	const char *own = caller ? getenv("OTEL_EXPORTER_OTLP_CERTIFICATE") : NULL;
	struct curl_blob blob = { .flags = CURL_BLOB_NOCOPY };
	int r = -ENOENT;

	h->certificates = BUF_INIT(CERTIFICATES_MAX);
	if (own && *own)
		r = read_file_at(AT_FDCWD, own, &h->certificates);
	else
		for (size_t i = 0; i < ARRAY_SIZE(usual) && r < 0; i++)
			r = read_file_at(AT_FDCWD, usual[i], &h->certificates);
	if (r < 0)
		return err_set(e, r, "tracing", "read the certificates that https is trusted by");
	blob.data = h->certificates.data;
	blob.len = h->certificates.len;
	curl_easy_setopt(h->easy, CURLOPT_CAINFO_BLOB, &blob);
	return 0;
}

/* Decoded, in place. False: malformed, or it would end a header. */
static bool header_part(char *s)
{
	if (!percent_decode(s))
		return false;
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

/* OTEL_EXPORTER_OTLP_HEADERS: "name=value,name=value", as in W3C Baggage. */
static int add_headers(struct otlp_http *h, bool caller, struct err *e)
{
	const char *specific = caller ? getenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS") : NULL;
	const char *list = specific ? specific
			   : caller ? getenv("OTEL_EXPORTER_OTLP_HEADERS")
				    : NULL;
	char text[HEADER_MAX], line[HEADER_MAX + 4], *next = text, *item;

	h->headers = curl_slist_append(NULL, "Content-Type: application/json");
	/* Without it a body of some size waits for leave to be sent. */
	h->headers = curl_slist_append(h->headers, "Expect:");
	if (!list)
		return 0;
	if (!str_copy(text, sizeof(text), list))
		return err_set(e, E2BIG, "tracing", "OTEL_EXPORTER_OTLP_HEADERS");
	while ((item = strsep(&next, ","))) {
		char *value = strchr(item, '=');

		item += strspn(item, " \t");
		if (*item == '\0')
			continue;
		if (value)
			*value++ = '\0';
		if (!value || !header_part(item) || !header_part(value) || strpbrk(item, ": \t"))
			return err_set(e, EINVAL, "tracing",
				       "OTEL_EXPORTER_OTLP_HEADERS: NAME=VALUE is expected");
		snprintf(line, sizeof(line), "%s: %s", item, value);
		h->headers = curl_slist_append(h->headers, line);
	}
	return 0;
}

static void set_options(struct otlp_http *h, const struct endpoint *to)
{
	CURL *c = h->easy;

	curl_easy_setopt(c, CURLOPT_URL, to->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, to->tls ? "https" : "http");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(c, CURLOPT_RESOLVE, h->addresses);
	/* To the policy's endpoint and nowhere else: no proxy of the environment's, no redirection.
	 */
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "purple-otlp/" PURPLE_VERSION);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)OTLP_REQUEST_MS);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(c, CURLOPT_POST, 1L);
}

struct otlp_http *otlp_http_open(const struct endpoint *to, bool caller, struct err *e)
{
	struct otlp_http *h = calloc(1, sizeof(*h));
	char addresses[1024];
	int r;

	if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		err_set(e, ENOMEM, "tracing", "make libcurl ready");
		free(h);
		return NULL;
	}
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	r = !h->multi || !h->easy ? err_set(e, ENOMEM, "tracing", "make libcurl ready") : 0;
	if (r == 0)
		r = otlp_resolve(to, addresses, sizeof(addresses), e);
	if (r == 0 && addresses[0])
		h->addresses = curl_slist_append(NULL, addresses);
	if (r == 0)
		r = add_headers(h, caller, e);
	if (r == 0 && to->tls)
		r = read_certificates(h, caller, e);
	if (r == 0) {
		set_options(h, to);
		return h;
	}
	otlp_http_close(h);
	return NULL;
}

void otlp_http_close(struct otlp_http *h)
{
	otlp_http_abandon(h);
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->addresses);
	buf_free(&h->certificates);
	buf_free(&h->answer);
	free(h);
	curl_global_cleanup();
}

void otlp_http_abandon(struct otlp_http *h)
{
	if (h->running)
		curl_multi_remove_handle(h->multi, h->easy);
	h->running = false;
}

void otlp_http_post(struct otlp_http *h, const char *body, size_t len, struct otlp_answer *a)
{
	buf_free(&h->answer);
	h->answer = BUF_INIT(OTLP_ANSWER_MAX);
	h->error[0] = '\0';
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	memset(a, 0, sizeof(*a));
	if (curl_multi_add_handle(h->multi, h->easy) == CURLM_OK) {
		h->running = true;
		return;
	}
	a->result = OTLP_REFUSED;
	str_copy(a->why, sizeof(a->why), "libcurl takes no request");
}

/*
 * ExportTraceServiceResponse, of which only {"partialSuccess": {"rejectedSpans": N}} matters.
 * What cannot be read says nothing: by its status it was taken.
 */
static void read_partial(const struct buf *answer, struct otlp_answer *a)
{
	json_t *root, *partial, *n, *message;
	uint64_t v = 0;

	if (answer->len == 0)
		return;
	root = json_loadb(answer->data, answer->len, JSON_REJECT_DUPLICATES, NULL);
	partial = json_object_get(root, "partialSuccess");
	n = json_object_get(partial, "rejectedSpans");
	message = json_object_get(partial, "errorMessage");
	if (json_is_integer(n) && json_integer_value(n) > 0)
		a->rejected = (uint64_t)json_integer_value(n);
	else if (json_is_string(n) && parse_u64(json_string_value(n), &v) == 0)
		a->rejected = v;
	if (a->rejected && json_is_string(message))
		snprintf(a->why, sizeof(a->why), "rejected: %s", json_string_value(message));
	else if (a->rejected)
		str_copy(a->why, sizeof(a->why), "rejected");
	json_decref(root);
}

static void judge(struct otlp_http *h, CURLcode code, struct otlp_answer *a)
{
	curl_off_t after = 0;
	long status = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		a->result = h->answer.failed || code == CURLE_PEER_FAILED_VERIFICATION ||
					    code == CURLE_UNSUPPORTED_PROTOCOL
				    ? OTLP_REFUSED
				    : OTLP_RETRY;
		str_copy(a->why, sizeof(a->why),
			 h->answer.failed ? "its answer is too long"
			 : h->error[0]	  ? h->error
					  : curl_easy_strerror(code));
	} else if (status >= 200 && status < 300) {
		a->result = OTLP_TAKEN;
		read_partial(&h->answer, a);
	} else {
		a->result = status == 429 || (status >= 502 && status <= 504) ? OTLP_RETRY
									      : OTLP_REFUSED;
		snprintf(a->why, sizeof(a->why), "it answers with status %ld", status);
		curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &after);
		a->retry_after_s = after > 0 ? (uint32_t)MIN(after, (curl_off_t)86400) : 0;
	}
}

bool otlp_http_wait(struct otlp_http *h, int fd, int ms, struct otlp_answer *a)
{
	struct curl_waitfd extra = { .fd = fd, .events = CURL_WAIT_POLLIN };
	int running = 0, left;
	CURLMsg *m;

	curl_multi_perform(h->multi, &running);
	if (running || !h->running)
		curl_multi_poll(h->multi, &extra, fd >= 0, ms, NULL);
	while ((m = curl_multi_info_read(h->multi, &left))) {
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		judge(h, code, a);
		otlp_http_abandon(h);
		break;
	}
	return extra.revents != 0;
}
