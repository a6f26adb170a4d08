/* SPDX-License-Identifier: Apache-2.0 */
#include "net/hello.h"

#include <string.h>

#include "base/macros.h"

enum { RECORD_HEADER = 5, RECORD_MAX = 16384, HANDSHAKE = 22, HANDSHAKE_HEADER = 4 };
enum { CLIENT_HELLO = 1 };

enum extension {
	EXT_SERVER_NAME = 0,
	EXT_ALPN = 16,
	EXT_ECH = 0xfe0d,  /* RFC 9849 */
	EXT_ESNI = 0xffce, /* draft-ietf-tls-esni-02 to -06 */
};

/* Bytes yet to be read. After one too few `bad` is set and all reads yield nothing. */
struct cursor {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static struct cursor take(struct cursor *c, size_t n)
{
	struct cursor part = { .p = c->p };

	if (c->bad || n > c->left) {
		c->bad = true;
		part.bad = true;
		return part;
	}
	part.left = n;
	c->p += n;
	c->left -= n;
	return part;
}

static unsigned take_number(struct cursor *c, size_t bytes)
{
	struct cursor part = take(c, bytes);
	unsigned v = 0;

	for (size_t i = 0; i < part.left; i++)
		v = v << 8 | part.p[i];
	return v;
}

/* A vector whose length stands before it in @bytes bytes, RFC 8446 §3.4. */
static struct cursor take_vector(struct cursor *c, size_t bytes)
{
	size_t n = take_number(c, bytes);

	return take(c, n);
}

static enum hello_result bad(struct hello *ret, const char *why)
{
	*ret = (struct hello){ .why = why };
	return HELLO_BAD;
}

/* NULL, or what is wrong. */
static const char *read_server_name(struct cursor c, struct hello *ret)
{
	struct cursor list = take_vector(&c, 2), name;
	unsigned type = take_number(&list, 1);

	name = take_vector(&list, 2);
	if (c.bad || c.left > 0 || list.bad || name.bad || type != 0)
		return "a server_name that is not one";
	if (list.left > 0)
		return "more than one server_name";
	if (host_name((const char *)name.p, name.left, ret->name) < 0)
		return "a server_name that is no host name";
	return NULL;
}

static const char *read_alpn(struct cursor c, struct hello *ret)
{
	struct cursor list = take_vector(&c, 2);

	if (c.bad || c.left > 0 || list.left == 0)
		return "an ALPN extension that is not one";
	while (list.left > 0) {
		struct cursor name = take_vector(&list, 1);

		if (name.left == 0)
			return "an ALPN extension that is not one";
		if (name.left == 2 && memcmp(name.p, "h2", 2) == 0)
			ret->alpn |= HELLO_ALPN_H2;
		else if (name.left == 8 && memcmp(name.p, "http/1.1", 8) == 0)
			ret->alpn |= HELLO_ALPN_HTTP1;
		else
			ret->alpn |= HELLO_ALPN_OTHER;
	}
	return NULL;
}

/* RFC 8701: 0x0a0a, 0x1a1a, … */
static bool is_grease(unsigned v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

static const char *read_extensions(struct cursor c, struct hello *ret)
{
	uint16_t seen[HELLO_EXTENSIONS_MAX];
	size_t count = 0;
	const char *why = NULL;

	while (c.left > 0 && !why) {
		unsigned type = take_number(&c, 2);
		struct cursor body = take_vector(&c, 2);

		if (c.bad || body.bad)
			return "an extension that is cut";
		if (count == HELLO_EXTENSIONS_MAX)
			return "too many extensions";
		for (size_t i = 0; i < count; i++)
			if (seen[i] == type && !is_grease(type))
				return "an extension that is there twice";
		seen[count++] = (uint16_t)type;
		if (type == EXT_SERVER_NAME)
			why = read_server_name(body, ret);
		else if (type == EXT_ALPN)
			why = read_alpn(body, ret);
		else if (type == EXT_ECH || type == EXT_ESNI)
			ret->ech = true;
	}
	return why;
}

/* @msg: the hello without the handshake header. */
static enum hello_result read_hello(const uint8_t *msg, size_t len, struct hello *ret)
{
	struct cursor c = { .p = msg, .left = len }, session, suites, compression, extensions;
	const char *why;

	take(&c, 2 + 32); /* legacy_version, random */
	session = take_vector(&c, 1);
	suites = take_vector(&c, 2);
	compression = take_vector(&c, 1);
	if (c.bad || session.left > 32 || suites.left == 0 || suites.left % 2 != 0 ||
	    compression.left == 0)
		return bad(ret, "a ClientHello that is not one");
	if (c.left == 0)
		return HELLO_DONE; /* before RFC 3546 there were no extensions */
	extensions = take_vector(&c, 2);
	if (c.bad || c.left > 0)
		return bad(ret, "extensions that do not fill the hello");
	why = read_extensions(extensions, ret);
	return why ? bad(ret, why) : HELLO_DONE;
}

/* The first @n bytes of the hello, which lie in complete records. */
static void gather(const uint8_t *data, uint8_t *ret, size_t n)
{
	while (n > 0) {
		size_t size = (size_t)(data[3] << 8 | data[4]), part = MIN(size, n);

		memcpy(ret, data + RECORD_HEADER, part);
		ret += part;
		n -= part;
		data += RECORD_HEADER + size;
	}
}

/*
 * SSL 2's CLIENT-HELLO, in which versions up to 1.2 may be offered: RFC 5246
 * appendix E.2. It has no extensions.
 */
static enum hello_result read_ssl2(const uint8_t *data, size_t len, struct hello *ret)
{
	if (len < 3)
		return HELLO_MORE;
	if (data[2] != CLIENT_HELLO)
		return HELLO_NOT_TLS;
	if (len < 5)
		return HELLO_MORE;
	if (data[3] == 3 || (data[3] == 0 && data[4] == 2))
		return bad(ret, "a hello in SSL 2 form");
	return HELLO_NOT_TLS;
}

/* The header of a record behind the first one's first two bytes, as far as it is there. */
static const char *check_record(const uint8_t *data, size_t len)
{
	size_t size;

	if (len > 0 && data[0] != HANDSHAKE)
		return "another record within the hello";
	if (len > 1 && data[1] != 3)
		return "a record of an unknown version";
	if (len < RECORD_HEADER)
		return NULL;
	size = (size_t)(data[3] << 8 | data[4]);
	if (size == 0)
		return "an empty record";
	if (size > RECORD_MAX)
		return "a record that is too long";
	return NULL;
}

/* All that @r->have bytes of hello tell. */
static enum hello_result read_message(const struct hello_reader *r, const uint8_t *data,
				      struct hello *ret)
{
	uint8_t msg[HANDSHAKE_HEADER + HELLO_MAX];
	size_t size;

	if (r->have < HANDSHAKE_HEADER)
		return HELLO_MORE;
	gather(data, msg, HANDSHAKE_HEADER);
	size = (size_t)(msg[1] << 16 | msg[2] << 8 | msg[3]);
	if (size > HELLO_MAX)
		return bad(ret, "a hello that is too long");
	size += HANDSHAKE_HEADER;
	if (r->have < size)
		return HELLO_MORE;
	if (r->have > size)
		return bad(ret, "more than a hello in its record");
	gather(data, msg, size);
	return read_hello(msg + HANDSHAKE_HEADER, size - HANDSHAKE_HEADER, ret);
}

enum hello_result hello_read(struct hello_reader *r, const uint8_t *data, size_t len,
			     struct hello *ret)
{
	enum hello_result result;
	const char *why;

	*ret = (struct hello){ .ech = false };
	if (len > 0 && data[0] & 0x80)
		return read_ssl2(data, len, ret);
	/* Some servers take any major version below 16 in the first record. */
	if (len > 0 && (data[0] != HANDSHAKE || (len > 1 && data[1] > 0x0f)))
		return HELLO_NOT_TLS;
	for (;;) {
		size_t left = len - r->at, size;

		why = check_record(data + r->at, left);
		if (why)
			return bad(ret, why);
		if (len > RECORD_HEADER && data[RECORD_HEADER] != CLIENT_HELLO)
			return bad(ret, "a handshake that does not begin with a ClientHello");
		if (left < RECORD_HEADER)
			break;
		size = (size_t)(data[r->at + 3] << 8 | data[r->at + 4]);
		if (r->at + RECORD_HEADER + size > HELLO_RAW_MAX)
			return bad(ret, "a hello over too many records");
		if (left < RECORD_HEADER + size)
			break;
		r->at += RECORD_HEADER + size;
		r->have += size;
		result = read_message(r, data, ret);
		if (result != HELLO_MORE)
			return result;
	}
	return len >= HELLO_RAW_MAX ? bad(ret, "a hello over too many records") : HELLO_MORE;
}
