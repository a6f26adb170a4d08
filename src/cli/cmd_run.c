/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/dirs.h"
#include "cli/launch.h"
#include "cli/obtain.h"
#include "cli/options.h"
#include "cli/report.h"
#include "supervisor/run.h"
#include "sys/files.h"
#include "sys/process.h"

static void help(void)
{
	static const char text[] = "usage: purple run [OPTION…] [--] COMMAND [ARGUMENT…]\n\n"
				   "Runs COMMAND with nothing but what the policy grants.\n\n";

	write_full(STDOUT_FILENO, text, sizeof(text) - 1);
	run_options_help(STDOUT_FILENO);
}

/* 0-2 are open for certain, so that nothing of ours takes their place. */
static int fill_stdio(struct err *e)
{
	for (int fd = 0; fd <= 2; fd++) {
		int r = (int)sys_call(SYS_fcntl, fd, F_GETFD);

		if (r != -EBADF)
			continue;
		/* The lowest free number is this one. */
		r = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
		if (r < 0)
			return err_set(e, r, "stdio", "open /dev/null for descriptor %d", fd);
		sys_call(SYS_fcntl, fd, F_SETFD, 0);
	}
	return 0;
}

/* Best-effort is never silent. One line each, before the command's own output. */
static void tell_downgrades(const struct plan *p)
{
	const struct plan_downgrade *d = plan_items(p, downgrades, struct plan_downgrade);

	for (uint32_t i = 0; i < p->downgrades.count; i++) {
		const char *why = plan_string(p, d[i].why);
		struct err e = { 0 };

		err_set(&e, EPROTO, "downgraded", "%s: %s", plan_string(p, d[i].what),
			why ? why : "not available here");
		err_print(&e);
	}
}

static int start(const struct report *report, const struct run_options *o, const struct dirs *dirs,
		 struct outcome *out, struct err *e)
{
	static struct launch launch;
	const struct plan *plan = report->plan;
	int r = launch_prepare(&launch, plan, o, dirs, e);

	launch.keep_fd = report->fd;
	return r < 0 ? r : supervisor_run(plan, &launch, out, e);
}

/*
 * A plan from the cache may not fit any more in a way that no fact of it tells:
 * something that it mounts has gone. When a start with one fails, make the plan
 * anew, and if it is another one, start once more.
 */
static int run_planned(const struct run_options *o, const struct dirs *dirs, struct outcome *out,
		       struct report *report, struct err *e)
{
	enum plan_origin origin = PLAN_CACHED;
	struct err again = { 0 };
	uint64_t checksum;
	int r;

	report->plan = obtain_plan(o, dirs, &origin, e);
	if (!report->plan)
		return -e->code;
	tell_downgrades(report->plan);
	/* What the caller left open goes no further, not even into this process. */
	if (report->plan->steps & STEP_CLOSE_FDS)
		report_close_others(report);
	checksum = report->plan->checksum;
	r = start(report, o, dirs, out, e);
	if (r == 0 || origin != PLAN_CACHED || out->started || e->exit_code != EXIT_PURPLE)
		return r;
	origin = PLAN_COMPILED;
	report->plan = obtain_plan(o, dirs, &origin, &again);
	if (report->plan && report->plan->checksum == checksum)
		return r; /* it was not the plan's fault */
	*e = again;
	/* PID 1 made our memory undumpable, and so /proc/PID/uid_map of the next one root's. */
	sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return report->plan ? start(report, o, dirs, out, e) : -e->code;
}

static int run(int argc, char **argv, struct outcome *out, struct report *report, struct err *e)
{
	static struct run_options o;
	static struct dirs dirs;
	int r = fill_stdio(e);

	if (r == 0)
		r = run_options_parse(argc, argv, &o, e);
	if (r < 0)
		return r;
	if (o.help) {
		help();
		out->exit_status = 0;
		return 0;
	}
	r = report_open(report, o.report, e);
	if (r < 0)
		return r;
	if (!o.command[0]) {
		err_set(e, EPROTO, "usage", "no command given");
		err_remedy(e, "purple run [OPTION…] -- COMMAND [ARGUMENT…]");
		return -EPROTO;
	}
	r = dirs_init(&dirs);
	if (r < 0) {
		err_set(e, r, "start", "read /proc/self/exe");
		err_remedy(e, access("/proc/self", F_OK) < 0
				      ? "mount /proc: mount -t proc proc /proc"
				      : "purple must lie in PREFIX/bin, with PREFIX/libexec/purple "
					"beside it; install it again");
		return r;
	}
	return run_planned(&o, &dirs, out, report, e);
}

int cmd_run(int argc, char **argv)
{
	struct report report = REPORT_INIT;
	struct outcome out = { 0 };
	struct err e = { 0 };

	if (run(argc, argv, &out, &report, &e) < 0) {
		out.exit_status = e.exit_code;
		if (e.stage[0] != '\0') /* else purple-compile has said it */
			err_print(&e);
	}
	report_write(&report, &out, &e);
	return out.exit_status;
}
