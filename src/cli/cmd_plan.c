/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_plan.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cmd_compile.h"
#include "cli/options.h"
#include "plan/print.h"
#include "sys/probe.h"

enum { PRINT_MAX = 16 << 20 };

static void help(void)
{
	static const char text[] = "usage: purple plan [OPTION…]\n\n"
				   "Prints what `purple run` with the same options would enforce "
				   "here. Nothing is run.\n\n";

	write_full(STDOUT_FILENO, text, sizeof(text) - 1);
	plan_options_help(STDOUT_FILENO);
}

/* A plan is a promise about this host: is what it stands on there? */
static int check_host(const struct plan *p, struct err *e)
{
	const struct plan_mount *m = plan_items(p, mounts, struct plan_mount);
	struct probe_full f;
	const char *what = NULL;
	bool proc = false;
	int r = probe_full(&f), code = 0;

	if (r < 0)
		return err_set(e, r, "plan", "try what this host offers");
	for (uint32_t i = 0; i < p->mounts.count; i++)
		proc |= m[i].kind == PM_PROC;
	for (int i = LAYER_USER; i <= LAYER_TIME && !code; i++) {
		/* What the kernel lacks is a named downgrade already. */
		if (plan_items(p, layers, struct plan_layer)[i].state == LS_ENFORCED) {
			code = f.namespaces[i];
			what = plan_layer_names[i];
		}
	}
	if (code)
		err_set(e, code, "plan", "not enforceable here: a %s namespace", what);
	else if (f.mount_api || f.userns_mount)
		err_set(e, f.mount_api ? f.mount_api : f.userns_mount, "plan",
			"not enforceable here: mounting in a user namespace");
	else if (proc && f.userns_proc)
		err_set(e, f.userns_proc, "plan", "not enforceable here: a /proc of its own");
	else if (f.seccomp_filter)
		err_set(e, f.seccomp_filter, "plan", "not enforceable here: a seccomp filter");
	if (err_is_set(e))
		err_remedy(e, "`purple doctor` says why and what to do");
	return -e->code;
}

static int show(const struct run_options *o, struct err *e)
{
	_cleanup_buf_ struct buf block = BUF_INIT(PLAN_MAX), text = BUF_INIT(PRINT_MAX);
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	struct compile_request q = {
		.profile = o->profile,
		.overrides = o->overrides,
		.best_effort = o->best_effort,
	};
	const struct plan *p;
	const char *why = "";
	int r = compile(&q, &block, &d, e);

	if (d.text.len > 0)
		write_full(STDERR_FILENO, d.text.data, d.text.len);
	if (r < 0)
		return r;
	p = plan_open(block.data, block.len, &why);
	if (!p)
		return err_set(e, EPROTO, "plan", "the plan does not pass its own check: %s", why);
	r = check_host(p, e);
	if (r < 0)
		return r;
	if (o->json)
		plan_print_json(p, &text);
	else
		plan_print_text(p, o->verbose, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "plan", "print the plan");
	r = write_full(STDOUT_FILENO, text.data, text.len);
	return r < 0 ? err_set(e, r, "plan", "print the plan") : 0;
}

int cmd_plan(int argc, char **argv)
{
	static struct run_options o;
	struct err e = { 0 };
	int r = plan_options_parse(argc, argv, &o, &e);

	if (r == 0 && o.help) {
		help();
		return 0;
	}
	if (r == 0)
		r = show(&o, &e);
	if (r < 0)
		err_print(&e);
	return r < 0 ? EXIT_PURPLE : 0;
}
