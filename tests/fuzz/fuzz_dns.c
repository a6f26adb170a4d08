/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what the rest is. 'q': a query; what it is answered with
 * must be within the limits and be read back. 'A', '6', 'S', 'H': the answer
 * to a query for A, AAAA, SRV, HTTPS of "example.org" (its id is set right).
 * 'f': the data of an HTTPS record.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "net/dns.h"

static void answer(const struct dns_query *q, unsigned rcode, bool tcp)
{
	static uint8_t buf[4096];
	struct host v4 = { .kind = HOST_V4, .addr = { 198, 18, 0, 1 } };
	struct dns_answer a;
	struct dns_reply r;
	size_t len;

	dns_reply_start(&r, buf, sizeof(buf), q, rcode, tcp);
	for (unsigned i = 0; i < 100 && rcode == 0; i++)
		require(dns_reply_add_addr(&r, &v4, 60) == 0);
	len = dns_reply_finish(&r);
	require(len <= (tcp ? sizeof(buf) : q->edns ? (size_t)DNS_EDNS_MAX : DNS_UDP_MAX));
	require(tcp || len <= q->udp_size);
	if (rcode || q->type != DNS_A)
		return;
	require(dns_parse_answer(buf, len, q->id, q->name, q->type, &a) == 0);
	require(tcp == !a.truncated && a.count == (tcp ? DNS_ADDRS_MAX : 0));
}

static void query(const uint8_t *data, size_t size)
{
	uint8_t again[DNS_REPLY_MIN];
	struct dns_query q, copy;
	struct host h;
	int r = dns_parse_query(data, size, &q), len;

	require(r >= -EBADMSG && (r == 0 || q.name[0] == '\0'));
	if (r == -EBADMSG)
		return;
	require(q.question_len <= DNS_QUESTION_MAX && q.udp_size >= DNS_UDP_MAX);
	answer(&q, (unsigned)r, false);
	answer(&q, (unsigned)r, true);
	if (r)
		return;
	(void)dns_parse_reverse(q.name, &h);
	len = dns_write_query(again, sizeof(again), q.id, q.name, q.type);
	require(len > 0 && dns_parse_query(again, (size_t)len, &copy) == 0);
	require(strcmp(copy.name, q.name) == 0 && copy.type == q.type && copy.id == q.id);
}

/* Behind the target nothing but what the sandbox may have. */
static void check_kept(const uint8_t *data, size_t len)
{
	size_t at = 2;

	while (data[at] != 0)
		at += 1u + data[at];
	at++;
	require(at <= len && (data[0] != 0 || data[1] != 0 || at == len));
	while (at < len) {
		require(len - at >= 4 && data[at] == 0 && data[at + 1] <= 3);
		at += 4u + (size_t)(data[at + 2] << 8 | data[at + 3]);
	}
	require(at == len);
}

/* What was read is given on, and read again. */
static void serve(const struct dns_answer *a)
{
	static uint8_t buf[DNS_MESSAGE_MAX];
	struct dns_query q;
	struct dns_answer again;
	struct dns_reply r;
	size_t len = (size_t)dns_write_query(buf, sizeof(buf), 1, "_a._tcp.example.org", DNS_SRV);

	require(dns_parse_query(buf, len, &q) == 0);
	dns_reply_start(&r, buf, sizeof(buf), &q, DNS_NOERROR, true);
	for (unsigned i = 0; i < a->count; i++)
		require(dns_reply_add_srv(&r, a->srv[i].priority, a->srv[i].weight, a->srv[i].port,
					  a->srv[i].target, a->ttl) == 0);
	len = dns_reply_finish(&r);
	require(dns_parse_answer(buf, len, 1, q.name, DNS_SRV, &again) == 0);
	require(again.count == a->count);
	for (unsigned i = 0; i < a->count; i++)
		require(again.srv[i].port == a->srv[i].port &&
			strcmp(again.srv[i].target, a->srv[i].target) == 0);
}

static void filter(const uint8_t *data, size_t len)
{
	char target[HOST_NAME_MAX_LEN + 1], again[HOST_NAME_MAX_LEN + 1];
	_cleanup_free_ uint8_t *out = malloc(len + 1), *twice = malloc(len + 1);
	int n;

	require(out && twice);
	n = dns_svcb_filter(data, len, out, target);
	require(n == -EBADMSG || (n >= 0 && (size_t)n <= len));
	if (n > 0) {
		check_kept(out, (size_t)n);
		require(dns_svcb_filter(out, (size_t)n, twice, again) == n);
		require(memcmp(out, twice, (size_t)n) == 0 && strcmp(target, again) == 0);
	}
}

static void upstream(uint8_t *data, size_t size, uint16_t type)
{
	struct dns_answer a;
	int r;

	if (size > 1) {
		data[0] = 0x12;
		data[1] = 0x34;
	}
	r = dns_parse_answer(data, size, 0x1234, "example.org", type, &a);
	require(r == 0 || r == -EBADMSG || r == -ENOMSG || r == -ELOOP);
	require(r == 0 || a.count == 0);
	require(a.count <= DNS_ADDRS_MAX && a.ttl <= INT32_MAX);
	if (r == 0 && type == DNS_SRV)
		serve(&a);
	if (type != DNS_HTTPS)
		return;
	for (unsigned i = 0; i < a.count; i++) {
		require((size_t)a.svcb[i].at + a.svcb[i].len <= size);
		filter(data + a.svcb[i].at, a.svcb[i].len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *exact = size ? malloc(MAX(size - 1, (size_t)1)) : NULL;

	if (!exact)
		return 0;
	memcpy(exact, data + 1, size - 1);
	switch (data[0]) {
	case 'q':
		query(exact, size - 1);
		break;
	case 'A':
		upstream(exact, size - 1, DNS_A);
		break;
	case '6':
		upstream(exact, size - 1, DNS_AAAA);
		break;
	case 'S':
		upstream(exact, size - 1, DNS_SRV);
		break;
	case 'H':
		upstream(exact, size - 1, DNS_HTTPS);
		break;
	case 'f':
		filter(exact, size - 1);
		break;
	}
	return 0;
}
