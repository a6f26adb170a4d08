/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

int err_set(struct err *e, int code, const char *stage, const char *fmt, ...)
{
	va_list ap;

	if (code < 0)
		code = -code;
	if (err_is_set(e))
		return -code;
	e->code = code;
	if (e->exit_code == 0)
		e->exit_code = EXIT_PURPLE;
	snprintf(e->stage, sizeof(e->stage), "%s", stage);
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -code;
}

void err_remedy(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e->remedy[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(e->remedy, sizeof(e->remedy), fmt, ap);
	va_end(ap);
}

/* Names from policies and the command line may hold terminal escapes. */
static size_t put_escaped(char *buf, size_t size, const char *s)
{
	size_t n = 0;

	while (*s != '\0' && n + 5 < size) {
		s += str_printable(s, buf + n);
		n += strlen(buf + n);
	}
	buf[n] = '\0';
	return n;
}

/* musl has no words for what unix(7) says when descriptors pile up in sockets. */
static const char *error_text(int code)
{
	return code == ETOOMANYREFS ? "Too many descriptors of this user are in transit"
				    : strerror(code);
}

size_t err_format(const struct err *e, char *buf, size_t size)
{
	char line[sizeof(e->stage) + sizeof(e->message) + 160];
	size_t n = 0;

	if (size < 64) {
		if (size > 0)
			buf[0] = '\0';
		return 0;
	}
	/* EPROTO: the message says it all, the errno would only mislead. */
	if (e->code == 0 || e->code == EPROTO)
		snprintf(line, sizeof(line), "purple: %s: %s", e->stage, e->message);
	else
		snprintf(line, sizeof(line), "purple: %s: %s: %s", e->stage, e->message,
			 error_text(e->code));
	n = put_escaped(buf, size - 1, line);
	buf[n++] = '\n';
	buf[n] = '\0';
	if (e->remedy[0] != '\0' && n + 64 < size) {
		snprintf(line, sizeof(line), "  %s", e->remedy);
		n += put_escaped(buf + n, size - n - 1, line);
		buf[n++] = '\n';
		buf[n] = '\0';
	}
	return n;
}

void err_print(const struct err *e)
{
	char buf[2048];
	size_t n = err_format(e, buf, sizeof(buf));
	ssize_t r = write(STDERR_FILENO, buf, n);

	(void)r; /* a closed stderr leaves only the exit status */
}

const char *err_name(int code, char buf[ERR_NAME])
{
	/* strerrorname_np(3) is not in every C library. */
	static const struct {
		int code;
		const char *name;
	} names[] = {
#define NAME(e) { e, #e }
		NAME(EPERM),	    NAME(EACCES),	NAME(ENOENT),	    NAME(EROFS),
		NAME(EISDIR),	    NAME(ENOTDIR),	NAME(EEXIST),	    NAME(ELOOP),
		NAME(EINVAL),	    NAME(ENOSYS),	NAME(ENODEV),	    NAME(EBUSY),
		NAME(ENOSPC),	    NAME(ENOMEM),	NAME(EMFILE),	    NAME(ENFILE),
		NAME(E2BIG),	    NAME(ENOEXEC),	NAME(ENAMETOOLONG), NAME(EAGAIN),
		NAME(EINTR),	    NAME(EAFNOSUPPORT), NAME(EADDRINUSE),   NAME(EADDRNOTAVAIL),
		NAME(ECONNREFUSED), NAME(ECONNRESET),	NAME(EHOSTUNREACH), NAME(ENETUNREACH),
		NAME(ETIMEDOUT),    NAME(EISCONN),	NAME(EALREADY),	    NAME(EFBIG),
#undef NAME
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].code == code)
			return names[i].name;
	snprintf(buf, ERR_NAME, "errno %d", code);
	return buf;
}
