/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of trails: Ed25519 (RFC 8032) by OpenSSL's libcrypto. A signature file,
 * PATH.sig, is three lines:
 *
 *	the head that is signed (event/trail.h), whose bytes with their newline are
 *	    the message
 *	key=64 hex digits		the public key, to say whose it is
 *	signature=128 hex digits
 *
 * As all lines are chained, a signature vouches for every line before its head's seq,
 * in older files too; and it stays good when lines follow.
 */
#ifndef PURPLE_CLI_AUDIT_KEY_H
#define PURPLE_CLI_AUDIT_KEY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "event/trail.h"

enum { AUDIT_KEY = 32, AUDIT_SIGNATURE = 64 }; /* bytes */

struct audit_key; /* a key pair, or its public half */

void audit_key_free(struct audit_key **k);
#define _cleanup_audit_key_ _cleanup_(audit_key_free)

/* Make a pair in new files; neither is written over. */
int audit_key_make(const char *private_path, const char *public_path, struct err *e);
/* -ENOENT with @e set: there is none. A private key that others may read is refused. */
int audit_key_load(struct audit_key **ret, const char *path, bool private, struct err *e);
void audit_key_public(const struct audit_key *k, uint8_t ret[AUDIT_KEY]);

/* The text of a signature file. */
int audit_key_sign(const struct audit_key *k, const struct trail_head *h, struct buf *ret,
		   struct err *e);

/*
 * What a signature file says. @k NULL: only read. 0; -EBADMSG: it is none;
 * -EKEYREJECTED: of another key; -EBADE: it is wrong.
 */
int audit_signature_check(const struct audit_key *k, const char *text, size_t len,
			  struct trail_head *ret);

#endif
