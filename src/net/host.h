/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host as the network's protocols write it: a name or a literal address,
 * from bytes that nobody has looked at yet.
 *
 * One spelling for each: names in lower case; addresses as bytes. What two
 * programs could read in two ways is refused: names with other characters
 * than letters, digits, '-' and '_' (RFC 952, RFC 1123 §2.1; '_' is in names
 * of services, RFC 8552), empty labels, numbers that some libraries take for
 * an IPv4 address (0x7f.1, 010.0.0.1, 2130706433), IPv4 addresses in IPv6
 * clothes, zone identifiers. These are the rules of policy/netrule.h.
 *
 * Limits: labels of 63 bytes, names of 253 (RFC 1035 §2.3.4: 255 with the
 * length bytes). No allocation, no input or output.
 */
#ifndef PURPLE_NET_HOST_H
#define PURPLE_NET_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOST_LABEL_MAX = 63, HOST_NAME_MAX_LEN = 253 };

enum host_kind { HOST_NAME, HOST_V4, HOST_V6 };

struct host {
	enum host_kind kind;
	char name[HOST_NAME_MAX_LEN + 1]; /* HOST_NAME: lower case, no final dot; else "" */
	uint8_t addr[16];		  /* HOST_V4: the first 4; network order */
};

/*
 * The name in @text, @len bytes without a NUL, into @ret (lower case). One
 * final dot is an error. 0 or -EINVAL; then @ret is "".
 */
int host_name(const char *text, size_t len, char ret[HOST_NAME_MAX_LEN + 1]);

/* The same for a name, an IPv4 address (four decimal numbers) or an IPv6 one (no brackets). */
int host_parse(const char *text, size_t len, struct host *ret);

/*
 * "host", "host:port", "[v6]" or "[v6]:port" (RFC 3986 §3.2.2 and §3.2.3,
 * without user information). *port is 0 where there is none; a port is 1 to
 * 65535 in at most 5 digits. 0 or -EINVAL.
 */
int host_parse_authority(const char *text, size_t len, struct host *ret, uint16_t *port);

/* "localhost" and what ends in ".localhost": RFC 6761 §6.3. */
bool host_is_localhost(const char *name);

/*
 * The name by which a sandbox reaches the loopback of the host that it runs on,
 * where a rule names it; "localhost" is the sandbox's own. Nobody else has a say
 * in ".internal", which ICANN has set aside for private use.
 */
#define HOST_OUTSIDE "host.purple.internal"
bool host_is_outside(const char *name);

/* Is it the machine itself: such a name, or an address of loopback or of no host (0.0.0.0, ::)? */
bool host_is_loopback(const struct host *host);

/* HOST_NAME with @name, which is one; or the address at @addr, 4 or 16 bytes. */
struct host host_from_name(const char *name);
struct host host_from_addr(bool v6, const void *addr);

/* The name, or the address without brackets, in @ret. */
const char *host_text(const struct host *host, char ret[HOST_NAME_MAX_LEN + 1]);

bool host_equal(const struct host *a, const struct host *b);

#endif
