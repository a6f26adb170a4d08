/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/detach.h"
#include "cli/dirs.h"
#include "cli/launch.h"
#include "cli/layers.h"
#include "cli/mounts_below.h"
#include "cli/obtain.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/overlays.h"
#include "cli/report.h"
#include "cli/sandbox.h"
#include "supervisor/run.h"
#include "sys/files.h"
#include "sys/process.h"

enum { TOLD_MAX = 16 }; /* lines about what was refused */

static void help(bool create)
{
	static const char run_text[] = "usage: purple run [OPTION…] [--] COMMAND [ARGUMENT…]\n\n"
				       "Runs COMMAND with nothing but what the policy grants.\n\n";
	static const char create_text[] =
		"usage: purple create [OPTION…] NAME\n\n"
		"Makes a sandbox that stays until `purple stop NAME`; `purple exec NAME -- …` runs\n"
		"commands in it.\n\n";

	if (create)
		write_full(STDOUT_FILENO, create_text, sizeof(create_text) - 1);
	else
		write_full(STDOUT_FILENO, run_text, sizeof(run_text) - 1);
	(create ? create_options_help : run_options_help)(STDOUT_FILENO);
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

/* What the policy says, and what nobody should overlook. There is no way to silence it. */
static void tell_shared(const struct plan *p)
{
	const struct plan_layer *net = plan_items(p, layers, struct plan_layer) + LAYER_NET;
	struct err e = { 0 };

	if (net->state != LS_OFF)
		return;
	err_set(&e, EPROTO, "warning",
		"network.share_host: the sandbox has no network of its own; its command may "
		"connect to all that this host reaches, its own loopback too");
	err_print(&e);
}

/* Of a supervisor in the background: who waits for it. It outlives a second try. */
static int ready_fd = -1;
static struct report final_report = REPORT_INIT;

/* In who waits for a supervisor that has ended without a start. */
static int not_started(const struct err *e, bool lost)
{
	struct outcome out = { .exit_status = e->exit_code };

	if (e->stage[0] != '\0') /* else purple-compile has said it */
		err_print(e);
	if (lost)
		report_write(&final_report, &out, e);
	return out.exit_status;
}

static int start(struct report *report, const struct run_options *o, const struct dirs *dirs,
		 bool cached, struct outcome *out, struct err *e)
{
	static struct launch launch;
	const struct plan *plan = report->plan;
	struct run_request request = {
		.kind = o->create   ? SANDBOX_CREATED
			: o->detach ? SANDBOX_DETACHED
				    : SANDBOX_FOREGROUND,
		.name = o->name,
		.stays = o->name || o->detach,
		.count = report->fd >= 0,
		.terminal = o->tty,
		.runtime = dirs->runtime,
		.totals = !dirs->runtime_stays,
		.plan_cached = cached,
		.began_us = (uint64_t)report->start.tv_sec * 1000000 +
			    (uint64_t)report->start.tv_nsec / 1000,
	};
	static _cold_data_ struct run_outputs outputs;
	struct run_store store;
	int r = launch_prepare(&launch, plan, o, dirs, e);

	launch.keep_fd = report->fd;
	if (r == 0)
		r = outputs_prepare(&launch, plan, &outputs, &request, e);
	if (r == 0)
		r = layers_prepare(&launch, plan, o, dirs, &store, &request, e);
	if (r == 0)
		r = overlays_prepare(&launch, plan, dirs, &request, e);
	if (r == 0 && plan->idmap == IDMAP_RANGE && (launch.layers || launch.overlays))
		r = mounts_below(&launch, plan, e);
	if (r == 0 && request.kind != SANDBOX_FOREGROUND && ready_fd < 0)
		r = detach(&ready_fd, not_started, e);
	request.ready_fd = ready_fd;
	if (r < 0) {
		layers_drop(&request);
		overlays_drop(&request);
		outputs_drop(&request);
	}
	if (r < 0)
		return r;
	r = supervisor_run(plan, &launch, &request, out, e);
	if (r == -EINVAL && streq(e->stage, "workspace"))
		r = MIN(mounts_below(&launch, plan, e), r);
	return r;
}

/* Where the kernel refuses an overlay, the workspace is a copy. */
static int start_anyhow(struct report *report, const struct run_options *o, const struct dirs *dirs,
			bool cached, struct outcome *out, struct err *e)
{
	int r = start(report, o, dirs, cached, out, e);

	if (r == 0 || out->started || !layers_fall_back(e))
		return r;
	/* PID 1 made our memory undumpable, and so /proc/PID/uid_map of the next one root's. */
	sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return start(report, o, dirs, cached, out, e);
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
	tell_shared(report->plan);
	/* What the caller left open goes no further, not even into this process. */
	if (report->plan->steps & STEP_CLOSE_FDS)
		report_close_others(report);
	checksum = report->plan->checksum;
	r = start_anyhow(report, o, dirs, origin == PLAN_CACHED, out, e);
	if (r == 0 || origin != PLAN_CACHED || out->started || e->exit_code != EXIT_PURPLE)
		return r;
	origin = PLAN_COMPILED;
	report->plan = obtain_plan(o, dirs, &origin, &again);
	if (report->plan && report->plan->checksum == checksum)
		return r; /* it was not the plan's fault */
	*e = again;
	/* PID 1 made our memory undumpable, and so /proc/PID/uid_map of the next one root's. */
	sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return report->plan ? start_anyhow(report, o, dirs, false, out, e) : -e->code;
}

/* What of the options makes no sense together. */
static int check_options(const struct run_options *o, struct err *e)
{
	const char *what = NULL, *usage = "purple run [OPTION…] -- COMMAND [ARGUMENT…]";

	if (o->create) {
		usage = "purple create [OPTION…] NAME";
		what = !o->name ? "no name is given"
		       : o->command[0] && o->command[0][0] == '-' && !streq(o->command[0], "--")
			       ? "options stand before the name"
		       : o->command[0] ? "a created sandbox starts no command; use `purple exec`"
				       : NULL;
	} else if (!o->command[0]) {
		what = "no command given";
	}
	if (o->resume && !o->name)
		what = "--resume needs --name: the changes of which sandbox?";
	if (o->tty && !o->detach)
		what = "--tty belongs to --detach; in the foreground it has our terminal";
	if (what) {
		err_set(e, EPROTO, "usage", "%s", what);
		err_remedy(e, "%s", usage);
		return -EPROTO;
	}
	if (o->name && !sandbox_name_ok(o->name)) {
		err_set(e, EPROTO, "usage",
			"%.80s is no name of a sandbox: lower-case letters, digits, dots, dashes and "
			"underscores, at most %d",
			o->name, SANDBOX_NAME_MAX);
		return -EPROTO;
	}
	return 0;
}

static int run(int argc, char **argv, bool create, struct outcome *out, struct report *report,
	       struct err *e)
{
	static struct run_options o;
	static struct dirs dirs;
	int r = sandbox_fill_stdio(e);

	if (r == 0)
		r = (create ? create_options_parse : run_options_parse)(argc, argv, &o, e);
	if (r < 0)
		return r;
	if (o.help) {
		help(create);
		out->exit_status = 0;
		return 0;
	}
	r = report_open(report, o.report, e);
	if (r < 0)
		return r;
	r = check_options(&o, e);
	if (r < 0)
		return r;
	r = dirs_init(&dirs);
	if (r < 0) {
		err_set(e, r, "start", "read /proc/self/exe");
		err_remedy(e, access("/proc/self", F_OK) < 0
				      ? "mount /proc: mount -t proc proc /proc"
				      : "purple must lie in PREFIX/bin, with PREFIX/libexec/purple "
					"beside it; install it again");
		return r;
	}
	r = o.resume ? layers_resume(&o, &dirs, e) : 0;
	return r < 0 ? r : run_planned(&o, &dirs, out, report, e);
}

/* The status alone does not tell who ended it, or by which limit. */
static void tell_limit(const struct outcome *out)
{
	static const struct {
		const char *reason, *what, *key;
	} limits[] = {
		{ "timeout", "it ran for longer than it may", "resources.session_timeout_seconds" },
		{ "cpu time", "it used more processor time than it may",
		  "resources.cpu_time_seconds" },
		{ "out of memory", "the kernel killed it: it used more memory than it may",
		  "resources.memory_limit_bytes" },
		{ "workspace full", "it changed more in the workspace than it may",
		  "workspace.max_bytes or workspace.max_files" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (out->started && out->reason && streq(out->reason, limits[i].reason)) {
			struct err e = { 0 };

			err_set(&e, EPROTO, "limits", "%s", limits[i].what);
			err_remedy(&e, "%s says how much; `purple plan` shows it", limits[i].key);
			err_print(&e);
		}
}

/* Of printable characters. A struct err would cut one with a long name in it. */
static void tell_line(const char *topic, const char *line)
{
	char text[DENIAL_LINE + 32];
	int n = snprintf(text, sizeof(text), "purple: %s: %s\n", topic, line);

	write_full(STDERR_FILENO, text, (size_t)n);
}

static void tell_network(const struct outcome *out)
{
	struct err e = { 0 };

	if (!out->network_died)
		return;
	err_set(&e, EPROTO, "network",
		"purple-net died (%s); from then on nothing outside could be reached",
		out->network_why);
	err_print(&e);
}

/* tell_limit() has. */
static bool is_told(const struct outcome *out, const struct denial *d)
{
	return d->type == EV_LIMIT_REACHED && out->reason &&
	       ((streq(out->reason, "timeout") && strstr(d->what, "session_timeout")) ||
		(streq(out->reason, "workspace full") && strstr(d->what, "workspace.max")) ||
		(streq(out->reason, "cpu time") && strstr(d->what, "cpu_time")) ||
		(streq(out->reason, "out of memory") && strstr(d->what, "memory_limit")));
}

struct telling {
	unsigned told;
	uint64_t more;
	const char *topic; /* of the last */
};

static void tell_denial(const struct outcome *out, const struct denial *d, struct telling *t)
{
	char line[DENIAL_LINE];

	if (is_told(out, d))
		return;
	t->topic = denial_topic(d);
	if (t->told++ < TOLD_MAX) {
		denial_line(d, line);
		tell_line(t->topic, line);
	} else {
		t->more += d->count;
	}
}

/*
 * One line for each refusal, as long as they are few enough to be read. Last what was only
 * looked for: a program may do without.
 */
static void tell_denials(const struct outcome *out)
{
	const struct denials *d = out->denials;
	struct telling t = { .topic = "network" };
	char line[DENIAL_LINE];

	if (!d)
		return;
	t.more = d->others;
	for (int absent = 0; absent <= 1; absent++)
		for (uint32_t i = 0; i < d->count; i++)
			if (denial_is_absence(&d->items[i]) == absent)
				tell_denial(out, &d->items[i], &t);
	if (t.more == 0)
		return;
	snprintf(line, sizeof(line), "%llu more were refused%s", (unsigned long long)t.more,
		 t.told > TOLD_MAX ? "; --report has them" : "");
	tell_line(t.topic, line);
}

/* Where nobody has waited it is told of what had failed by then. */
static void tell_spans(const struct outcome *out)
{
	const unsigned long long lost = out->spans_dropped;
	struct err e = { 0 };

	if (out->spans_dropped == 0)
		return;
	err_set(&e, EPROTO, "tracing", "%llu of %llu spans were lost: %s", lost,
		lost + out->spans_exported, out->spans_why);
	if (!out->spans_waited)
		err_remedy(&e, "--trace-wait SECONDS (tracing.wait_seconds) waits for the rest, "
			       "and counts");
	err_print(&e);
}

static void tell_changes(const struct outcome *out)
{
	char text[4 * SANDBOX_NAME_MAX + 128];
	int n;

	if (!out->store)
		return;
	n = run_changes_line(out, text, sizeof(text));
	write_full(STDERR_FILENO, text, (size_t)n);
}

static int run_or_create(int argc, char **argv, bool create)
{
	struct outcome out = { 0 };
	struct err e = { 0 };
	bool failed = run(argc, argv, create, &out, &final_report, &e) < 0;

	if (failed)
		out.exit_status = e.exit_code;
	if (failed && ready_fd < 0 && e.stage[0] != '\0') /* else purple-compile has said it */
		err_print(&e);
	if (ready_fd < 0) {
		tell_limit(&out);
		tell_network(&out);
		tell_denials(&out);
		tell_spans(&out);
		tell_changes(&out);
	}
	report_write(&final_report, &out, &e);
	if (failed && ready_fd >= 0)
		detach_failed(ready_fd, &e);
	return out.exit_status;
}

int cmd_run(int argc, char **argv)
{
	return run_or_create(argc, argv, false);
}

int cmd_create(int argc, char **argv)
{
	return run_or_create(argc, argv, true);
}
