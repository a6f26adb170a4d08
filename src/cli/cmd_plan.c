/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_plan.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cmd_compile.h"
#include "cli/options.h"
#include "plan/print.h"

enum { PRINT_MAX = 16 << 20 };

static void help(void)
{
	static const char text[] = "usage: purple plan [OPTION…]\n\n"
				   "Prints what `purple run` with the same options would enforce "
				   "here. Nothing is run.\n\n";

	write_full(STDOUT_FILENO, text, sizeof(text) - 1);
	run_options_help(STDOUT_FILENO);
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
	if (o->json)
		plan_print_json(p, &text);
	else
		plan_print_text(p, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "plan", "print the plan");
	r = write_full(STDOUT_FILENO, text.data, text.len);
	return r < 0 ? err_set(e, r, "plan", "print the plan") : 0;
}

int cmd_plan(int argc, char **argv)
{
	static struct run_options o;
	struct err e = { 0 };
	int r = run_options_parse(argc, argv, &o, &e);

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
