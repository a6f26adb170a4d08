/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small language helpers that every folder uses: array sizes, ownership
 * transfer, and scope-bound clean-up in the manner of the kernel's
 * <linux/cleanup.h>.
 */
#ifndef PURPLE_BASE_MACROS_H
#define PURPLE_BASE_MACROS_H

#include <stddef.h>
#include <stdlib.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define _cleanup_(fn) __attribute__((__cleanup__(fn)))
#define _printf_(fmt, args) __attribute__((__format__(__printf__, fmt, args)))
#define _noreturn_ __attribute__((__noreturn__))
#define _noinline_ __attribute__((__noinline__)) /* its frame is not to be its caller's */

/* Hand over ownership: yields the value and leaves "nothing" behind. */
#define TAKE_PTR(p)                  \
	({                           \
		typeof(p) _p_ = (p); \
		(p) = NULL;          \
		_p_;                 \
	})
#define TAKE_FD(fd)              \
	({                       \
		int _fd_ = (fd); \
		(fd) = -1;       \
		_fd_;            \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)

/*
 * Zeroed data, apart from the rest by how long it is of use; every page costs time,
 * and memory for as long as it is kept. (Only this spelling makes a section without
 * contents.)
 *
 *	_cold_data_	most starts do not touch it: sys/prefault.h leaves it out
 *	_scratch_data_	cold, and nothing in it is read once the sandbox runs, or once the
 *			call that wrote it has returned: sys/giveback.h drops it
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
	!defined(__SANITIZE_ADDRESS__)
#define _cold_data_ __attribute__((__section__("cold_data,\"aw\",@nobits#")))
#define _scratch_data_ __attribute__((__section__("scratch_data,\"aw\",@nobits#")))
#else
#define _cold_data_
#define _scratch_data_
#endif

#endif
