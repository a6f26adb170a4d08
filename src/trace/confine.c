/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/confine.h"

#include <sys/syscall.h>

#include "base/macros.h"

/* clang-format off */
static const int calls[] = {
	SYS_clock_gettime,
	SYS_exit_group,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
	SYS_recvfrom,
	SYS_restart_syscall,
	SYS_rt_sigreturn,
	SYS_sendto,
};
/* clang-format on */

const struct confine trace_confinement = {
	.id = CONFINE_MUST_LEAVE_ROOT,
	.calls = calls,
	.call_count = ARRAY_SIZE(calls),
};

int trace_confine(struct err *e)
{
	const char *step;
	int r = confine_all(&trace_confinement, &step);

	return r < 0 ? err_set(e, r, "trace", "%s", step) : 0;
}
