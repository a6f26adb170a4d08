/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name that a TLS client asks for: reads the ClientHello at the start of
 * a connection (RFC 8446 §4.1.2 and §5.1, as in TLS 1.0 to 1.2: RFC 5246), its
 * server_name (RFC 6066 §3), its ALPN (RFC 7301), and whether it has an
 * encrypted hello inside (RFC 9849). Unknown extensions and GREASE (RFC 8701)
 * are passed over.
 *
 * hello_read() gets all bytes of the connection so far, and again with more
 * while it says HELLO_MORE; the buffer may move, what was in it may not
 * change. Records are walked once, so one byte a call costs no more than
 * linear time.
 *
 * What a server might read as TLS is never HELLO_NOT_TLS, for that is let
 * through unread: a hello with anything wrong in it is HELLO_BAD, also the
 * SSL 2 form that some servers still take. Refused are: empty or interleaved
 * records, bytes behind the hello in its last record, an extension twice, a
 * second name, a name with a final dot, an address as a name.
 *
 * Limits: HELLO_MAX bytes of hello, over records of altogether HELLO_RAW_MAX
 * bytes, HELLO_EXTENSIONS_MAX extensions; HELLO_MORE is never said of
 * HELLO_RAW_MAX bytes. 16 KiB of stack. No allocation, no input or output.
 *
 * Only the first hello is looked at. A client may send another name in the one
 * that answers a HelloRetryRequest (RFC 8446 §4.1.4 forbids it; servers need
 * not check) or within the encryption; the name here is what it began with.
 *
 * A browser that has no ECH configuration sends a GREASE one, which looks the
 * same from outside. `ech` says that the name may not be the true one.
 */
#ifndef PURPLE_NET_HELLO_H
#define PURPLE_NET_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/host.h"

enum { HELLO_MAX = 16384, HELLO_RAW_MAX = 32768, HELLO_EXTENSIONS_MAX = 128 };

enum hello_result { HELLO_MORE, HELLO_NOT_TLS, HELLO_BAD, HELLO_DONE };

/* Bits of hello.alpn. */
enum { HELLO_ALPN_HTTP1 = 1, HELLO_ALPN_H2 = 2, HELLO_ALPN_OTHER = 4 };

/* Zero at the start of a connection. */
struct hello_reader {
	size_t at;   /* in the bytes: the first record that is not complete */
	size_t have; /* bytes of the hello before that */
};

struct hello {
	char name[HOST_NAME_MAX_LEN + 1]; /* lower case; "": no server_name */
	bool ech;			  /* encrypted_client_hello, or the ESNI of its drafts */
	unsigned alpn;			  /* 0: none offered */
	const char *why;		  /* HELLO_BAD: constant; else NULL */
};

enum hello_result hello_read(struct hello_reader *r, const uint8_t *data, size_t len,
			     struct hello *ret);

#endif
